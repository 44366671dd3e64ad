"""What can be said of one annotator from the scores that they and the others gave. Pure: arrays in, figures out.

Everything is measured against the *others*: the median of the other people's scores of the same item, which their own
score has no part in. Nothing here says that somebody is wrong; it says where they differ, by how much, and how sure that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import special

from annotations.rubric import HIGHEST, LOWEST
from annotations.statistics.agreement import weighted_kappa
from annotations.statistics.intervals import LEVEL, Interval, wilson
from annotations.statistics.ratings import SAME, SCORES, Estimate, FloatArray, IntArray

STEP = 1.0
# Signals are looked for from so many scores on.
LEAST_FOR_SIGNALS = 20
ONE_VALUE = 0.95
FAST_SHARE, FAST_SECONDS = 0.25, 5.0
NO_OTHERS = "nobody else has scored the same items"
NO_GOLD = "has scored no gold item"
NO_SCORES = "has given no score"
NO_TIMES = "no times were measured"


@dataclass(frozen=True, slots=True)
class Figure:
    """A share or a mean on n observations. Without a value there is a reason; it is never 0 then."""

    value: float | None
    interval: Interval | None
    n: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that a lead may want to look at. It is no verdict."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class GivenScores:
    """Scores that people gave, a row a score. NaN is “cannot verify” in `value`, not measured or not known elsewhere."""

    item: IntArray
    rater: IntArray
    value: FloatArray
    seconds: FloatArray
    consensus: FloatArray
    """what the item came to, this score included"""
    gold: FloatArray
    """the right score of a gold item"""

    def where(self, chosen: npt.NDArray[np.bool_] | IntArray) -> GivenScores:
        return GivenScores(
            self.item[chosen], self.rater[chosen], self.value[chosen],
            self.seconds[chosen], self.consensus[chosen], self.gold[chosen],
        )  # fmt: skip

    @property
    def rated(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.value)


@dataclass(frozen=True, slots=True)
class Annotator:
    """The figures of one annotator."""

    rater: int
    n: int
    """scores given, “cannot verify” among them"""
    kappa: Estimate
    """quadratic-weighted κ against the median of the others"""
    exact: Figure
    within_one: Figure
    bias: Figure
    """mean of own score − median of the others; above 0: gives more than they do"""
    gold_exact: Figure
    gold_within_one: Figure
    gold_bias: Figure
    confusion: Mapping[float, Sequence[int]]
    """by what the item came to (half steps too), how often they gave each of SCORES"""
    scores: Sequence[int]
    """how often each of SCORES was given"""
    cannot_verify: Figure
    seconds_median: float | None
    seconds_p90: float | None
    signals: Sequence[Signal] = field(default=())


def others_median(item: IntArray, value: FloatArray) -> FloatArray:
    """For each rating the median of the other ratings of its item; NaN where there is none, and for ratings that are NaN."""
    found = np.full(value.size, np.nan)
    rated = np.flatnonzero(~np.isnan(value))
    if not rated.size:
        return found
    _, index = np.unique(item[rated], return_inverse=True)
    order = np.lexsort((value[rated], index))
    ordered = value[rated][order]
    count = np.bincount(index)
    start = np.repeat(np.cumsum(count) - count, count)
    others = np.repeat(count, count) - 1
    place = np.arange(ordered.size) - start
    # The k-th of the others is the k-th of all, or the next where the rating itself stands at or before it.
    low, high = (others - 1) // 2, others // 2
    last = ordered.size - 1
    of_low = ordered[np.minimum(start + low + (low >= place), last)]
    of_high = ordered[np.minimum(start + high + (high >= place), last)]
    found[rated[order]] = np.where(others > 0, (of_low + of_high) / 2, np.nan)
    return found


def annotators(given: GivenScores, *, seed: int = 20) -> list[Annotator]:
    """The figures of each annotator, in order of their number."""
    reference = others_median(given.item, given.value)
    usual = _median(given.seconds)
    people, first = np.unique(np.sort(given.rater), return_index=True)
    order = np.argsort(given.rater, kind="stable").astype(np.int64)
    ends = [*first.tolist(), order.size]
    rows = [order[start:end] for start, end in pairwise(ends)]
    return [
        _annotator(int(rater), given.where(mine), reference[mine], usual, seed) for rater, mine in zip(people, rows, strict=True)
    ]


def _annotator(rater: int, mine: GivenScores, reference: FloatArray, usual: float | None, seed: int) -> Annotator:
    apart, from_gold = mine.value - reference, mine.value - mine.gold
    times = mine.seconds[~np.isnan(mine.seconds)]
    scores = _counts(mine.value[mine.rated])
    blank = int((~mine.rated).sum())
    kappa = weighted_kappa(mine.value, reference, seed=seed)
    return Annotator(
        rater=rater,
        n=mine.value.size,
        kappa=kappa if kappa.items else Estimate(None, None, 0, 1, 0, NO_OTHERS),
        exact=near(apart, 0, NO_OTHERS),
        within_one=near(apart, STEP, NO_OTHERS),
        bias=mean_difference(apart, NO_OTHERS),
        gold_exact=near(from_gold, 0, NO_GOLD),
        gold_within_one=near(from_gold, STEP, NO_GOLD),
        gold_bias=mean_difference(from_gold, NO_GOLD),
        confusion=confusion_table(mine.consensus, mine.value),
        scores=scores,
        cannot_verify=share(blank, mine.value.size, NO_SCORES),
        seconds_median=_median(times),
        seconds_p90=float(np.quantile(times, 0.9)) if times.size else None,
        signals=_signals(scores, reference, times, usual),
    )


def share(count: int, n: int, reason: str) -> Figure:
    """A share with Wilson's interval."""
    return Figure(count / n, wilson(count / n, n), n) if n else Figure(None, None, 0, reason)


def near(apart: FloatArray, within: float, reason: str) -> Figure:
    """The share of differences of at most `within`; NaN is no difference."""
    known = apart[~np.isnan(apart)]
    return share(int((np.abs(known) <= within + 1e-9).sum()), known.size, reason)


def mean_difference(apart: FloatArray, reason: str, *, level: float = LEVEL) -> Figure:
    """The mean with Student's interval. Where all n differences are equal, the next one need not be: the interval is then as
    wide as the share of others that n may have missed (Wilson) times one step.
    """
    known = apart[~np.isnan(apart)]
    if not known.size:
        return Figure(None, None, 0, reason)
    mean = float(known.mean())
    if known.size < 2:
        return Figure(mean, None, 1, "one item is too few for an interval")
    spread = float(known.std(ddof=1)) / known.size**0.5
    if spread <= SAME:
        half = (1 - wilson(1.0, known.size, level=level).low) * STEP
        return Figure(mean, Interval(*_possible(mean, half), "wilson"), known.size)
    half = float(special.stdtrit(known.size - 1, 0.5 + level / 2)) * spread
    return Figure(mean, Interval(*_possible(mean, half), "t"), known.size)


def _possible(mean: float, half: float) -> tuple[float, float]:
    """Student's interval knows no bounds, a difference of two scores does: no mean of them lies beyond."""
    widest = float(HIGHEST - LOWEST)
    return max(-widest, mean - half), min(widest, mean + half)


def confusion_table(consensus: FloatArray, value: FloatArray) -> dict[float, list[int]]:
    """By what items came to, highest first, how often each of SCORES was given. Half steps count as the score nearer to 0."""
    both = ~(np.isnan(consensus) | np.isnan(value))
    rows = np.unique(consensus[both])[::-1]
    return {float(row): _counts(value[both & (consensus == row)]) for row in rows}


def _counts(value: FloatArray) -> list[int]:
    whole = np.trunc(value).astype(np.int64) - LOWEST
    return [int(count) for count in np.bincount(whole, minlength=len(SCORES))]


def _median(value: FloatArray) -> float | None:
    known = value[~np.isnan(value)]
    return float(np.median(known)) if known.size else None


def _signals(scores: Sequence[int], reference: FloatArray, times: FloatArray, usual: float | None) -> tuple[Signal, ...]:
    return tuple(signal for signal in (_one_value(scores, reference), _fast(times, usual)) if signal)


def _one_value(scores: Sequence[int], reference: FloatArray) -> Signal | None:
    given, most = sum(scores), max(scores)
    if given < LEAST_FOR_SIGNALS or most <= ONE_VALUE * given:
        return None
    value = SCORES[int(np.argmax(scores))]
    known = reference[~np.isnan(reference)]
    # Where the others, too, give nearly always this score, there is nothing odd in it.
    if known.size and (np.abs(known - value) < STEP / 2).mean() > ONE_VALUE:
        return None
    shown = f"{value:+d}" if value else "0"
    return Signal("one-value", f"{most / given:.0%} of the scores are {shown}: worth looking at some of these items together.")


def _fast(times: FloatArray, usual: float | None) -> Signal | None:
    own = _median(times)
    if own is None or usual is None or times.size < LEAST_FOR_SIGNALS or own >= min(FAST_SECONDS, FAST_SHARE * usual):
        return None
    return Signal(
        "fast", f"Half of the scores took {own:.1f} seconds or less, against {usual:.0f} in the project: is there time to read?"
    )
