"""Is a model as right as it is sure? Attempted answers with a confidence only.

Binning of ECE: ten bins of equal width over [0, 1], each closed on its left ([0, .1), [.1, .2), …) and the last on both
sides; or one bin for each distinct confidence where there are at most ten of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.answered import Answers
from evaluation.metrics.columns import Array, Codes, Tally, ratio

ECE_BINS = 10
"""ECE uses this many equal-width bins over [0, 1], or one bin per distinct value when there are no more of those."""
CURVE_POINTS = 100
"""A risk–coverage curve is thinned to about so many points."""
FEW_VALUES = 128
FEW_SUMS = 256
"""Of so many different confidences, and so many sums for each answer, the sums cost less than a weight for each answer."""


def brier(tally: Tally[Answers]) -> Array:
    """Return mean (q − ok)² (Brier 1950, for two classes)."""
    a = tally.columns
    squares = np.where(a.rated, np.square(np.nan_to_num(a.confidence) - a.correct), 0.0)
    return ratio(tally.total(squares), tally.total(a.rated))


def confidence_bins(answers: Answers) -> Codes:
    """Return each rated answer's bin: its distinct value where those are few, else one of ten of equal width."""
    confidence = answers.confidence[answers.rated]
    values, codes = np.unique(confidence, return_inverse=True)
    if values.size <= ECE_BINS:
        return codes.astype(np.intp)
    return np.minimum((confidence * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def expected_calibration_error(tally: Tally[Answers]) -> Array:
    """Return Σ share of bin · |accuracy − mean confidence| (Naeini et al. 2015, Guo et al. 2017)."""
    a = tally.columns
    bins = confidence_bins(a)
    miss = np.zeros(a.n)
    miss[a.rated] = a.confidence[a.rated] - a.correct[a.rated]
    gap = np.zeros_like(tally.n)
    for code in np.unique(bins):
        inside = np.zeros(a.n)
        inside[a.rated] = bins == code
        gap += np.abs(tally.total(miss * inside))
    return ratio(gap, tally.total(a.rated))


def calibrated_error(answers: Answers, draws: int, seed: int) -> Array:
    """Draw the ECE that answers with these confidences would have if they were calibrated: shape (draws,).

    After Bröcker & Smith 2007 (consistency resampling), with each bin's error as normal, its variance summed over entities.
    """
    a = answers.where(answers.rated)
    bins, miss = confidence_bins(a), a.confidence - a.correct
    by_entity = [np.bincount(a.entity, weights=np.where(bins == code, miss, 0.0)) for code in np.unique(bins)]
    spread = np.sqrt(np.square(by_entity).sum(axis=1))
    normal = np.random.default_rng(seed).standard_normal((draws, spread.size))
    return np.asarray(np.abs(normal) @ spread / a.n, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Weighted numbers of answers at each distinct confidence, from the surest down, and up to there: shape (some, values)."""

    size: Array
    wrong: Array
    size_until: Array
    wrong_until: Array


def _ranked(tally: Tally[Answers]) -> Iterator[_Ranked]:
    a = tally.columns
    rows = np.flatnonzero(a.rated)
    order = rows[np.argsort(-a.confidence[rows], kind="stable")]
    confidence, wrong = a.confidence[order], a.wrong[order]
    ends = np.flatnonzero(np.r_[confidence[1:] != confidence[:-1], True])
    if ends.size <= FEW_VALUES and ends.size * a.entities <= FEW_SUMS * order.size:
        yield _few_ranked(tally, order, ends)
        return
    for weights in tally.blocks(order):
        counted = [weights, weights * wrong]
        until = [np.cumsum(one, axis=1) for one in counted]
        if ends.size < order.size:
            until = [total[:, ends] for total in until]
            counted = [np.diff(total, axis=1, prepend=0.0) for total in until]
        yield _Ranked(*counted, *until)


def _few_ranked(tally: Tally[Answers], order: Codes, ends: Codes) -> _Ranked:
    """The same where answers share few values: a sum for each value, and no weight for each answer."""
    value = np.repeat(np.arange(ends.size), np.diff(ends, prepend=-1))
    wrong = tally.columns.wrong[order]
    size = tally.counts(order, value, ends.size)
    of_wrong = tally.counts(order[wrong], value[wrong], ends.size)
    return _Ranked(size, of_wrong, np.cumsum(size, axis=1), np.cumsum(of_wrong, axis=1))


@dataclass(frozen=True, slots=True)
class _Areas:
    auroc: Array
    aurc: Array


def _areas(tally: Tally[Answers]) -> _Areas:
    """Return both areas, which share the sorting and the sums that nearly all their time goes to."""
    found = [(_auroc(ranked), _aurc(ranked)) for ranked in _ranked(tally)]
    return _Areas(*(np.concatenate(column) for column in zip(*found, strict=True)))


def auroc(tally: Tally[Answers]) -> Array:
    """Return P(confidence of a right answer > that of a wrong one), ties counting half (Mann & Whitney 1947)."""
    return tally.once(_areas).auroc


def aurc(tally: Tally[Answers]) -> Array:
    """Return the mean of the selective risks over all coverages k/n: (1/n) Σₖ errors among the k surest / k (Geifman et al. 2019,
    equation 3). The order of answers of equal confidence is arbitrary, so their risks are averaged over all their orders.
    """
    return tally.once(_areas).aurc


def _auroc(ranked: _Ranked) -> Array:
    all_wrong = ranked.wrong_until[:, -1]
    all_right = ranked.size_until[:, -1] - all_wrong
    above = ranked.wrong_until - ranked.wrong / 2
    lost = np.einsum("rv,rv->r", ranked.size, above) - np.einsum("rv,rv->r", ranked.wrong, above)
    return ratio(all_right * all_wrong - lost, all_right * all_wrong)


def _aurc(ranked: _Ranked) -> Array:
    n = ranked.size_until[:, -1]
    if ranked.size.max() <= 1:
        risk = np.divide(ranked.wrong_until, ranked.size_until, out=np.zeros_like(ranked.size), where=ranked.size > 0)
        return ratio(risk.sum(axis=1), n)
    # With m tied answers of which e are wrong, behind n₀ with e₀ wrong: Σⱼ (e₀ + j·e/m)/(n₀ + j) over j = 1…m,
    # which is e + (e₀ − n₀·e/m)·(H(n₀ + m) − H(n₀)), H being the harmonic numbers.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n.max() + 1))])
    until = harmonic[ranked.size_until.astype(np.intp)]
    steps = np.diff(until, axis=1, prepend=0.0)
    share = np.divide(ranked.wrong, ranked.size, out=np.zeros_like(ranked.size), where=ranked.size > 0)
    behind = ranked.wrong_until - ranked.wrong - (ranked.size_until - ranked.size) * share
    return ratio(ranked.wrong.sum(axis=1) + np.einsum("rv,rv->r", behind, steps), n)


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """Of the rated answers, the `coverage` share that is surest; `risk` is the share of those n that is wrong."""

    coverage: float
    risk: float
    n: int


def risk_coverage(answers: Answers, *, points: int = CURVE_POINTS) -> list[CoveragePoint]:
    """Return the risk–coverage curve, a point for each distinct confidence, thinned to about `points`; the last is at 1.

    El-Yaniv & Wiener 2010; answers of equal confidence are answered or declined together.
    """
    if not answers.rated.any():
        return []
    ranked = next(_ranked(Tally(answers)))
    wrong, size = ranked.wrong_until[0], ranked.size_until[0]
    evenly = np.searchsorted(size, np.linspace(size[0], size[-1], points))
    return [CoveragePoint(float(size[k] / size[-1]), float(wrong[k] / size[k]), int(size[k])) for k in np.unique(evenly)]
