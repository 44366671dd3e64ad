"""Ratings as arrays, and what the statistics on them share: who rated what alike, seeded resamples of items, intervals.

Items are resampled, not ratings: two ratings of one item belong together. Whatever does not depend on who rated needs of
an item only its pattern, that is, how often it was given each value. There are few patterns, so a resample of 100,000 items
is a draw of some dozens of numbers, with exactly the distribution that drawing item after item has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations.rubric import HIGHEST, LOWEST
from annotations.statistics.intervals import LEVEL, RESAMPLES, SEED, Interval, wilson

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# A table of items by values is kept; scores have 5 values, 9 with half steps.
MOST_VALUES = 64
# Undefined resamples (all values alike) may be so many at most, or there is no interval.
MOST_UNDEFINED = 0.1
SAME = 1e-12
_CELLS = 10_000_000

# What α is customarily taken for from these on (Krippendorff 2004, Content Analysis, 2nd ed., p. 241).
RELIABLE, TENTATIVE = 0.8, 0.667
SCORES = tuple(range(LOWEST, HIGHEST + 1))

NO_PAIRS = "no item has two scores"
NO_VARIATION = "all scores are the same, so agreement by chance cannot be told from agreement"
FEW_DIFFER = "too few scores differ for an interval"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with what it rests on. Without a value (it is never 0 then) or an interval there is a reason."""

    value: float | None
    interval: Interval | None
    items: int
    """items with at least two ratings that count"""
    raters: int
    pairs: int
    """pairs of ratings of the same item; in a mean over pairs of raters, pairs of raters"""
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Who (`rater`) gave what (`value`) to which item: three arrays of equal length. Missing ratings are not in it."""

    item: IntArray
    rater: IntArray
    value: FloatArray

    @classmethod
    def of(cls, item: npt.ArrayLike, rater: npt.ArrayLike, value: npt.ArrayLike) -> Ratings:
        """The ratings whose value is a number; NaN is “not rated”. Raises ValueError for unequal lengths and infinities."""
        items, raters = np.asarray(item, np.int64), np.asarray(rater, np.int64)
        values = np.asarray(value, np.float64)
        if not items.shape == raters.shape == values.shape or items.ndim != 1:
            raise ValueError("item, rater and value are columns of equal length")
        if np.isinf(values).any():
            raise ValueError("a rating is a finite number")
        rated = ~np.isnan(values)
        return cls(items[rated], raters[rated], values[rated])

    def where(self, chosen: npt.NDArray[np.bool_]) -> Ratings:
        return Ratings(self.item[chosen], self.rater[chosen], self.value[chosen])

    @property
    def shared(self) -> Ratings:
        """The ratings of items that have at least two."""
        if not self.item.size:
            return self
        _, index, count = np.unique(self.item, return_inverse=True, return_counts=True)
        return self.where(count[index] >= 2)


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The different ways in which items with two ratings or more were rated."""

    values: FloatArray
    """the distinct values, ascending: shape (values,)"""
    counts: FloatArray
    """how often a pattern has each value: shape (patterns, values)"""
    frequency: IntArray
    """how many items have the pattern: shape (patterns,)"""
    raters: int

    @property
    def items(self) -> int:
        return int(self.frequency.sum())

    @property
    def size(self) -> FloatArray:
        """Ratings of each pattern."""
        size: FloatArray = self.counts.sum(axis=1)
        return size

    @property
    def pairs(self) -> int:
        size = self.size
        return int((self.frequency * size * (size - 1) / 2).sum())

    def missing(self) -> str | None:
        """Why no chance-corrected agreement can be computed."""
        if not self.items:
            return NO_PAIRS
        return NO_VARIATION if self.values.size < 2 else None


def patterns_of(ratings: Ratings) -> Patterns:
    """Raises ValueError where there are more than `MOST_VALUES` distinct values."""
    kept = ratings.shared
    values, code = np.unique(kept.value, return_inverse=True)
    if values.size > MOST_VALUES:
        raise ValueError(f"{values.size} distinct values; {MOST_VALUES} at most: round them")
    items, index = np.unique(kept.item, return_inverse=True)
    counts = np.bincount(index * values.size + code, minlength=items.size * values.size).reshape(items.size, values.size)
    distinct, frequency = _distinct_rows(counts)
    return Patterns(values, distinct.astype(np.float64), frequency, int(np.unique(kept.rater).size))


def _distinct_rows(counts: IntArray) -> tuple[IntArray, IntArray]:
    if not counts.size:
        return counts, np.zeros(0, np.int64)
    base, columns = int(counts.max()) + 1, counts.shape[1]
    if base**columns < 2**62:
        # A row read as a number is much faster to sort than a row.
        key = counts @ (base ** np.arange(columns, dtype=np.int64))
        _, first, frequency = np.unique(key, return_index=True, return_counts=True)
        return counts[first], frequency
    rows, frequency = np.unique(counts, axis=0, return_counts=True)
    return rows, frequency


def resamples_of(frequency: IntArray, *, resamples: int = RESAMPLES, seed: int = SEED) -> Iterator[FloatArray]:
    """Draw as many items as there are, with replacement, `resamples` times. Yields how often each pattern was drawn, some
    resamples at a time: shape (some, patterns).
    """
    rng, items = np.random.default_rng(seed), int(frequency.sum())
    few = frequency.size * 16 < items
    at_once = max(1, min(resamples, _CELLS // max(1, frequency.size if few else items)))
    pattern = np.repeat(np.arange(frequency.size), frequency)
    for start in range(0, resamples, at_once):
        some = min(at_once, resamples - start)
        if few:
            yield rng.multinomial(items, frequency / items, size=some).astype(np.float64)
        else:
            drawn = pattern[rng.integers(0, items, size=(some, items))] + np.arange(some)[:, None] * frequency.size
            flat = np.bincount(drawn.ravel(), minlength=some * frequency.size)
            yield flat.reshape(some, frequency.size).astype(np.float64)


def percentile_interval(samples: FloatArray, *, value: float, items: int, level: float = LEVEL) -> Interval | str:
    """The percentile interval of resampled values, NaN where one is undefined; or why there is none.

    Where all agree, resampling has nothing to vary, and [1, 1] would claim too much: the lower end is then Wilson's for a
    share of `items` out of `items`, as if the items that we may have missed agreed no better than chance.
    """
    defined = samples[np.isfinite(samples)]
    if defined.size < (1 - MOST_UNDEFINED) * samples.size:
        return FEW_DIFFER
    tail = (1 - level) / 2
    low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    if high - low > SAME:
        return Interval(min(low, value), max(high, value), "bootstrap")
    return Interval(wilson(1.0, items, level=level).low, 1.0, "wilson") if value > 1 - SAME else FEW_DIFFER


def reading(estimate: Mapping[str, Any]) -> str:
    """What an α is customarily taken for, by the lower end of its interval where it has one:
    "reliable", "tentative", "unreliable", "unsure" (not tentative at the lower end, but it may be), or "none".
    """
    if estimate["value"] is None:
        return "none"
    interval = estimate["interval"]
    low, high = (interval["low"], interval["high"]) if interval else (estimate["value"], estimate["value"])
    if low >= RELIABLE:
        return "reliable"
    if low >= TENTATIVE:
        return "tentative"
    return "unsure" if high >= TENTATIVE else "unreliable"
