"""How far raters agree: Krippendorff's α, Fleiss' κ, Cohen's weighted κ, and plain shares.

Sources:
- α in its coincidence-matrix form: Krippendorff, “Computing Krippendorff's Alpha-Reliability” (2011), and Content Analysis
  (2nd ed. 2004), chapter 11.
- its interval by resampling items: Zapf et al. 2016, BMC Medical Research Methodology 16:93.
- Fleiss 1971, Psychological Bulletin 76:378; Cohen 1968, Psychological Bulletin 70:213.
- delete-a-group jackknife: Shao & Tu 1995, The Jackknife and Bootstrap, section 5.1.

A missing rating is missing: it is in no pair. What cannot be computed is None with a reason, never 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from annotations.statistics.intervals import LEVEL, RESAMPLES, SEED, Interval, wilson
from annotations.statistics.ratings import (
    FEW_DIFFER,
    NO_PAIRS,
    NO_VARIATION,
    SAME,
    Estimate,
    FloatArray,
    IntArray,
    Patterns,
    Ratings,
    patterns_of,
    percentile_interval,
    resamples_of,
)

Metric = Literal["nominal", "ordinal", "interval", "ratio"]
Weights = Literal["unweighted", "linear", "quadratic"]
NEGATIVE = "the ratio metric needs values of 0 and above"
JACKKNIFE_GROUPS = 100
_BLOCK_CELLS = 4_000_000


# Krippendorff's α


def krippendorff_alpha(
    ratings: Ratings, *, metric: Metric = "ordinal", resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL
) -> Estimate:
    """α = 1 − observed / expected disagreement, over all pairs of ratings of the same item."""
    patterns = patterns_of(ratings)
    reason = patterns.missing() or (NEGATIVE if metric == "ratio" and patterns.values[0] < 0 else None)
    if reason:
        return _none(patterns, reason)
    value = float(_alpha(_coincidences(patterns, patterns.frequency[None].astype(np.float64)), patterns.values, metric)[0])
    drawn = resamples_of(patterns.frequency, resamples=resamples, seed=seed)
    samples = np.concatenate([_alpha(_coincidences(patterns, weights), patterns.values, metric) for weights in drawn])
    return _estimate(patterns, value, percentile_interval(samples, value=value, items=patterns.items, level=level))


def _coincidences(patterns: Patterns, weights: FloatArray) -> FloatArray:
    """The matrix of coincidences under each row of weights: shape (resamples, values, values).

    A pair of values of one item counts 1 / (ratings of the item − 1), both ways round, so each rating counts once.
    """
    values = patterns.values.size
    total = np.zeros((len(weights), values * values))
    block = max(1, _BLOCK_CELLS // (values * values))
    for start in range(0, len(patterns.counts), block):
        counts = patterns.counts[start : start + block]
        pairs = counts[:, :, None] * counts[:, None, :]
        pairs[:, np.arange(values), np.arange(values)] -= counts
        pairs /= (counts.sum(axis=1) - 1)[:, None, None]
        total += weights[:, start : start + block] @ pairs.reshape(len(counts), -1)
    return total.reshape(len(weights), values, values)


def _alpha(coincidences: FloatArray, values: FloatArray, metric: Metric) -> FloatArray:
    """α of each matrix; NaN where all values are alike."""
    margin = coincidences.sum(axis=2)
    total = margin.sum(axis=1)
    distance = _distance(values, margin, metric)
    observed = (coincidences * distance).sum(axis=(1, 2))
    expected = (margin[:, :, None] * margin[:, None, :] * distance).sum(axis=(1, 2))
    ratio = np.full(len(total), np.nan)
    np.divide((total - 1) * observed, expected, out=ratio, where=expected > SAME)
    alpha: FloatArray = 1 - ratio
    return alpha


def _distance(values: FloatArray, margin: FloatArray, metric: Metric) -> FloatArray:
    """How far two values lie apart, squared: shape (1 or resamples, values, values)."""
    one, other = values[:, None], values[None, :]
    apart: FloatArray
    if metric == "nominal":
        apart = (one != other).astype(np.float64)
    elif metric == "interval":
        apart = (one - other) ** 2
    elif metric == "ratio":
        apart = np.zeros((values.size, values.size))
        np.divide(one - other, one + other, out=apart, where=one + other > 0)
        apart = apart**2
    else:
        return _rank_distance(margin)
    return apart[None]


def _rank_distance(margin: FloatArray) -> FloatArray:
    """The ordinal metric: all ratings between two values, with half of those at either end. That is, how far their middle
    ranks lie apart.
    """
    rank = np.cumsum(margin, axis=1) - margin / 2
    apart: FloatArray = (rank[:, :, None] - rank[:, None, :]) ** 2
    return apart


# Fleiss' κ, and plain shares


def fleiss_kappa(ratings: Ratings, *, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL) -> Estimate:
    """Fleiss' κ over items with two ratings or more. Where their numbers differ, each item's agreement counts once."""
    patterns = patterns_of(ratings)
    if reason := patterns.missing():
        return _none(patterns, reason)
    value = float(_fleiss(patterns, patterns.frequency[None].astype(np.float64))[0])
    drawn = resamples_of(patterns.frequency, resamples=resamples, seed=seed)
    samples = np.concatenate([_fleiss(patterns, weights) for weights in drawn])
    return _estimate(patterns, value, percentile_interval(samples, value=value, items=patterns.items, level=level))


def _fleiss(patterns: Patterns, weights: FloatArray) -> FloatArray:
    size = patterns.size
    agreeing = ((patterns.counts**2).sum(axis=1) - size) / (size * (size - 1))
    observed = weights @ agreeing / weights.sum(axis=1)
    given = weights @ patterns.counts
    expected = ((given / given.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    kappa = np.full(len(weights), np.nan)
    np.divide(observed - expected, 1 - expected, out=kappa, where=expected < 1 - SAME)
    return kappa


def percent_agreement(ratings: Ratings, *, within: float = 0.0, level: float = LEVEL) -> Estimate:
    """The share of pairs of ratings of the same item that lie at most `within` apart.

    Pairs of one item are not independent, so Wilson's interval takes n as the number of items; where some have more pairs
    than others, as their effective number by Kish, (Σ pairs)² / Σ pairs².
    """
    patterns = patterns_of(ratings)
    if not patterns.items:
        return _none(patterns, NO_PAIRS)
    near = (np.abs(patterns.values[:, None] - patterns.values[None, :]) <= within + 1e-9).astype(np.float64)
    size = patterns.size
    agreeing = (((patterns.counts @ near) * patterns.counts).sum(axis=1) - size) / 2
    pairs = size * (size - 1) / 2
    share = min(1.0, float((patterns.frequency * agreeing).sum() / (patterns.frequency * pairs).sum()))
    effective = float((patterns.frequency * pairs).sum() ** 2 / (patterns.frequency * pairs**2).sum())
    return _estimate(patterns, share, wilson(share, effective, level=level))


def _none(patterns: Patterns, reason: str) -> Estimate:
    return Estimate(None, None, patterns.items, patterns.raters, patterns.pairs, reason)


def _estimate(patterns: Patterns, value: float, interval: Interval | str) -> Estimate:
    if isinstance(interval, str):
        return Estimate(value, None, patterns.items, patterns.raters, patterns.pairs, interval)
    return Estimate(value, interval, patterns.items, patterns.raters, patterns.pairs)


# Cohen's weighted κ


def weighted_kappa(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    weights: Weights = "quadratic",
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> Estimate:
    """κ of two raters: two columns with a row an item, NaN where one did not rate. Weights go by the distance of values."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    both = ~(np.isnan(one) | np.isnan(other))
    n = int(both.sum())
    if not n:
        return Estimate(None, None, 0, 2, 0, "the two have no item in common")
    values, code = np.unique(np.concatenate([one[both], other[both]]), return_inverse=True)
    table = np.bincount(code[:n] * values.size + code[n:], minlength=values.size**2)
    apart = _apart(values, weights)
    value = float(_kappas(table[None].astype(np.float64), apart)[0])
    if np.isnan(value):
        return Estimate(None, None, n, 2, n, NO_VARIATION)
    # Items with the same two values are alike, so a resample of items is a draw of the cells of the table.
    drawn = resamples_of(table, resamples=resamples, seed=seed)
    samples = np.concatenate([_kappas(some, apart) for some in drawn])
    interval = percentile_interval(samples, value=value, items=n, level=level)
    if isinstance(interval, str):
        return Estimate(value, None, n, 2, n, interval)
    return Estimate(value, interval, n, 2, n)


def mean_pairwise_kappa(ratings: Ratings, *, weights: Weights = "quadratic", seed: int = SEED, level: float = LEVEL) -> Estimate:
    """The mean of κ over all pairs of raters, each weighted by the items that both rated; pairs whose κ is undefined (each
    gave one and the same value) are left out. The interval is a jackknife that leaves out a hundredth of the items at a time.

    Raises ValueError where somebody rated an item twice.
    """
    tables = _pair_tables(ratings.shared, seed)
    if tables is None:
        return Estimate(None, None, 0, 0, 0, NO_PAIRS)
    value, pairs = _mean_kappa(tables.total, tables.apart(weights))
    if not pairs:
        return Estimate(None, None, tables.items, tables.raters, 0, NO_VARIATION)
    interval = _jackknife(tables, value, tables.apart(weights), level)
    reason = None if interval else FEW_DIFFER
    return Estimate(value, interval, tables.items, tables.raters, pairs, reason)


@dataclass(frozen=True, slots=True, eq=False)
class _PairTables:
    """Joint tables of values for each pair of raters, for all items and for each group of items."""

    values: FloatArray
    total: FloatArray
    """shape (pairs of raters, values²)"""
    cell: IntArray
    """where in `total`, flattened, an entry of a group belongs; groups one after the other"""
    count: FloatArray
    group: IntArray
    items: int
    raters: int

    def apart(self, weights: Weights) -> FloatArray:
        return _apart(self.values, weights)

    def without_each_group(self) -> Iterator[FloatArray]:
        ends = np.searchsorted(self.group, np.arange(int(self.group[-1]) + 2))
        flat = self.total.ravel()
        for start, end in pairwise(ends):
            left = flat.copy()
            left[self.cell[start:end]] -= self.count[start:end]
            yield left.reshape(self.total.shape)


def _pair_tables(kept: Ratings, seed: int) -> _PairTables | None:
    if not kept.item.size:
        return None
    values, code = np.unique(kept.value, return_inverse=True)
    people, rater = np.unique(kept.rater, return_inverse=True)
    items, item = np.unique(kept.item, return_inverse=True)
    order = np.lexsort((rater, item))
    code, rater, item = code[order], rater[order], item[order]
    groups = min(items.size, JACKKNIFE_GROUPS)
    group = np.random.default_rng(seed).permutation(items.size) % groups
    cells, squared = values.size**2, people.size**2
    found = []
    for lag in range(1, int(np.bincount(item).max())):
        same = np.flatnonzero(item[:-lag] == item[lag:])
        if lag == 1 and (rater[same] == rater[same + 1]).any():
            raise ValueError("somebody rated an item twice")
        pair = rater[same] * people.size + rater[same + lag]
        cell = code[same] * values.size + code[same + lag]
        found.append(np.unique((group[item[same]] * squared + pair) * cells + cell, return_counts=True))
    keys, place = np.unique(np.concatenate([key for key, _ in found]), return_inverse=True)
    count: FloatArray = np.bincount(place, weights=np.concatenate([counted for _, counted in found])).astype(np.float64)
    pairs, pair_index = np.unique(keys // cells % squared, return_inverse=True)
    cell = pair_index * cells + keys % cells
    total: FloatArray = np.bincount(cell, weights=count, minlength=pairs.size * cells).astype(np.float64)
    return _PairTables(values, total.reshape(pairs.size, cells), cell, count, keys // (cells * squared), items.size, people.size)


def _apart(values: FloatArray, weights: Weights) -> FloatArray:
    apart: FloatArray = np.abs(values[:, None] - values[None, :])
    if weights == "unweighted":
        return (apart > 0).astype(np.float64)
    return apart if weights == "linear" else apart**2


def _kappas(tables: FloatArray, apart: FloatArray) -> FloatArray:
    """κ of each table (flattened), NaN where neither rater's values vary."""
    size = len(apart)
    square = tables.reshape(-1, size, size)
    total = square.sum(axis=(1, 2))
    observed = (square * apart).sum(axis=(1, 2))
    # Σ a·w·b over both margins; divided by the total it is what chance would give.
    by_chance = ((square.sum(axis=2) @ apart) * square.sum(axis=1)).sum(axis=1)
    ratio = np.full(len(square), np.nan)
    np.divide(total * observed, by_chance, out=ratio, where=by_chance > SAME)
    kappas: FloatArray = 1 - ratio
    return kappas


def _mean_kappa(tables: FloatArray, apart: FloatArray) -> tuple[float, int]:
    kappas, items = _kappas(tables, apart), tables.sum(axis=1)
    defined = np.isfinite(kappas)
    if not defined.any():
        return float("nan"), 0
    return float(np.average(kappas[defined], weights=items[defined])), int(defined.sum())


def _jackknife(tables: _PairTables, value: float, apart: FloatArray, level: float) -> Interval | None:
    left_out = np.array([_mean_kappa(left, apart)[0] for left in tables.without_each_group()])
    defined = left_out[np.isfinite(left_out)]
    if defined.size < max(2, 0.9 * left_out.size):
        return None
    spread = float(np.sqrt((defined.size - 1) / defined.size * ((defined - defined.mean()) ** 2).sum()))
    if spread <= SAME:
        return Interval(wilson(1.0, tables.items, level=level).low, 1.0, "wilson") if value > 1 - SAME else None
    half = float(special.stdtrit(defined.size - 1, 0.5 + level / 2)) * spread
    return Interval(max(-1.0, value - half), min(1.0, value + half), "jackknife")
