"""Intervals and tests for metrics: a bootstrap over entities, Wilson where the bootstrap has nothing to vary, paired tests.

Items about one entity stand or fall together, so entities are drawn with replacement, not items (a cluster
bootstrap; Davison & Hinkley 1997, section 3.8). All draws are seeded: the same answers give the same intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist
from typing import Generic

import numpy as np

from annotations.statistics.intervals import LEVEL, RESAMPLES, SEED, Interval, wilson
from evaluation.comparing.significance import PERMUTATIONS, PairedTest, paired_tests
from evaluation.comparing.spread import Spread, spread_of
from evaluation.metrics import METRICS, Answered, Answers, Array, Metric, Tally, columns_of, stack
from evaluation.metrics.columns import C
from evaluation.metrics.text import NGrams

POOLED_RESAMPLES = 200
"""Of both models' answers together, for a standard error alone."""
_SAME = 1e-9
_CELLS = 1_000_000
"""Drawn at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value on n answers about some entities; without a value there is a reason."""

    value: float | None
    interval: Interval | None
    n: int
    entities: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, with its interval and, where it is paired, a test of whether there is any; `n` counts the pairs (or the
    smaller group where nothing is paired).
    """

    value: float | None
    interval: Interval | None
    n: int
    reason: str | None = None
    test: PairedTest | None = None

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


def entity_weights(entities: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """Return how often each entity is drawn in each resample: shape (resamples, entities), rows sum to `entities`."""
    generator, weights = np.random.default_rng(seed), np.empty((resamples, entities))
    some = max(1, _CELLS // max(1, entities))
    # Some at a time: of a large benchmark's entities all draws at once would take four times the weights' own memory.
    for start in range(0, resamples, some):
        rows = min(some, resamples - start)
        draws = generator.integers(0, entities, size=(rows, entities))
        draws += np.arange(rows)[:, None] * entities
        weights[start : start + rows] = np.bincount(draws.ravel(), minlength=rows * entities).reshape(rows, entities)
    return weights


def estimates(
    answers: Answers, *, names: Iterable[str] = METRICS, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Estimate]:
    """Return each named metric on `answers`, with its interval, or with the reason why there is none."""
    return estimates_of({name: METRICS[name] for name in names}, answers, resamples=resamples, seed=seed)


def estimates_of(
    metrics: Mapping[str, Metric[C]], columns: C, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Estimate]:
    """Return metrics of any kind on their columns, with intervals, or with the reasons why there are none."""
    point = Tally(columns)
    drawn = Tally(columns, entity_weights(columns.entities, resamples=resamples, seed=seed)) if columns.n else point
    # Few draws tell little of a tail, and these are cheap.
    chance = Chance(max(resamples, RESAMPLES), seed)
    return {name: _estimate(metric, point, drawn, chance) for name, metric in metrics.items()}


@dataclass(frozen=True, slots=True)
class Chance:
    """How often, and from which seed, is drawn what a metric comes to by chance alone."""

    draws: int
    seed: int


def _estimate(metric: Metric[C], point: Tally[C], drawn: Tally[C], chance: Chance) -> Estimate:
    rests_on = metric.over.mask(point.columns)
    n = int(rests_on.sum())
    entities = int(np.unique(point.columns.entity[rests_on]).size)
    reason = metric.missing(point.columns)
    if reason is not None:
        return Estimate(None, None, n, entities, reason)
    value = float(metric.value(point)[0])
    interval = _interval(metric, value, metric.value(drawn), entities)
    if interval is not None and metric.by_chance is not None:
        by_chance = metric.by_chance(point.columns, chance.draws, chance.seed)
        if np.quantile(by_chance, 0.5 + LEVEL / 2) >= value:
            interval = replace(interval, low=metric.low)
    return Estimate(value, interval, n, entities)


def _interval(metric: Metric[C], value: float, samples: Array, entities: int) -> Interval | None:
    low, high = _percentiles(samples)
    if high - low < _SAME:
        return _no_spread(metric, value, entities)
    if metric.by_chance is not None:
        low, high = _without_bias(value, samples, low, high)
    return Interval(max(metric.low, min(low, value)), min(metric.high, max(high, value)), "bootstrap")


def _without_bias(value: float, samples: Array, low: float, high: float) -> tuple[float, float]:
    """Return the ends of an interval for an estimate that is too high in small samples.

    A resample adds the bias a second time, so the middle belongs as far below the value as the resamples lie above it. The
    interval is that of the resamples moved there, or reflected about the value, whichever goes farther; upwards it goes a bias
    farther.
    """
    bias = float(np.nanmean(samples)) - value
    return min(2 * value - high, low - 2 * bias), max(2 * value - low, high - bias)


def _no_spread(metric: Metric[C], value: float, entities: int) -> Interval | None:
    """Return Wilson's interval on the metric's own range: all entities alike is no proof that the next one is.

    Where the range has no end there is none.
    """
    width = metric.high - metric.low
    if not np.isfinite(width):
        return None
    share = min(1.0, max(0.0, (value - metric.low) / width))
    unit = wilson(share, entities)
    return Interval(metric.low + unit.low * width, metric.low + unit.high * width, "wilson")


def _percentiles(samples: Array) -> tuple[float, float]:
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        return 0.0, 0.0  # no spread that could be seen
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def paired_differences(
    first: Sequence[Answered],
    second: Sequence[Answered],
    *,
    names: Iterable[str] = METRICS,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> dict[str, Difference]:
    """Return second − first for each metric, on the items both answered, drawing the same entities for both; with a test."""
    metrics = {name: METRICS[name] for name in names}
    before, after = _aligned(first, second)
    if not before.n:
        return {name: Difference(None, None, 0, "no item in common") for name in metrics}
    comparable = {name: metric for name, metric in metrics.items() if metric.comparable}
    tests = paired_tests(comparable, before, after, seed=seed, permutations=permutations)
    pair = _Pair(before, after, resamples=resamples, seed=seed)
    return {name: _paired(metric, pair, tests.get(name)) for name, metric in metrics.items()}


class _Pair(Generic[C]):
    """Two models' answers to the same questions, as they are and resampled alike."""

    def __init__(self, before: C, after: C, *, resamples: int, seed: int) -> None:
        weights = entity_weights(before.entities, resamples=resamples, seed=seed)
        self.sides = before, after
        self.points = Tally(before), Tally(after)
        self.drawn = Tally(before, weights), Tally(after, weights)
        self._resamples, self._seed = min(resamples, POOLED_RESAMPLES), seed

    @cached_property
    def pooled(self) -> Tally[C]:
        """Both models' answers as if they were one's, resampled."""
        together = stack(*self.sides)
        return Tally(together, entity_weights(together.entities, resamples=self._resamples, seed=self._seed))


def _paired(metric: Metric[C], pair: _Pair[C], test: PairedTest | None) -> Difference:
    found = _difference(metric, pair.points, pair.drawn, pair.sides[0].entities)
    if found.value is None:
        return found
    if not metric.comparable:
        return replace(found, interval=None)
    spread = spread_of(metric, pair.sides, pair.drawn, lambda: pair.pooled)
    interval = found.interval if spread.alike else _widened(metric, found.value, found.interval, spread)
    return replace(found, interval=interval, test=test.and_by(spread, found.value) if test else None)


def _widened(metric: Metric[C], value: float, interval: Interval | None, spread: Spread) -> Interval:
    """Return the interval, nowhere nearer to the value than the spread says: few answers vary in few resamples."""
    width, half = metric.high - metric.low, spread.half(LEVEL)
    low, high = (interval.low, interval.high) if interval and interval.method == "bootstrap" else (value, value)
    return Interval(max(-width, min(low, value - half)), min(width, max(high, value + half)), "bootstrap")


def _aligned(first: Sequence[Answered], second: Sequence[Answered]) -> tuple[Answers, Answers]:
    by_item = {record.item: record for record in second}
    pairs = [(record, by_item[record.item]) for record in first if record.item in by_item]
    # What a question is about does not depend on who answers it; the same draws must mean the same for both.
    return columns_of([a for a, _ in pairs]), columns_of([replace(b, entity=a.entity) for a, b in pairs])


def gap(trained_on: Answers, held_out: Answers, name: str, *, resamples: int = RESAMPLES, seed: int = SEED) -> Difference:
    """Return a metric's trained-on minus held-out difference; the two groups of entities are drawn apart."""
    if not (trained_on.n and held_out.n):
        return Difference(None, None, 0, "needs items on both sides")
    drawn = (
        Tally(held_out, entity_weights(held_out.entities, resamples=resamples, seed=seed)),
        Tally(trained_on, entity_weights(trained_on.entities, resamples=resamples, seed=seed + 1)),
    )
    smaller = min(held_out.entities, trained_on.entities)
    return _difference(METRICS[name], (Tally(held_out), Tally(trained_on)), drawn, smaller)


def _difference(
    metric: Metric[C],
    points: tuple[Tally[C], Tally[C]],
    drawn: tuple[Tally[C], Tally[C]],
    entities: int,
) -> Difference:
    sides = [point.columns for point in points]
    n = min(int(metric.over.mask(side).sum()) for side in sides)
    reason = metric.missing(sides[0]) or metric.missing(sides[1])
    if reason is not None:
        return Difference(None, None, n, reason)
    first, second = (float(metric.value(point)[0]) for point in points)
    low, high = _percentiles(metric.value(drawn[1]) - metric.value(drawn[0]))
    value = second - first
    if high - low < _SAME:
        return Difference(value, _no_spread_of_difference(metric, value, entities), n)
    return Difference(value, Interval(min(low, value), max(high, value), "bootstrap"), n)


def _no_spread_of_difference(metric: Metric[C], value: float, entities: int) -> Interval:
    """Return Wilson's interval on the range of a difference, from −(high − low) to +(high − low), around `value`."""
    width = metric.high - metric.low
    slack = (1 - wilson(1.0, entities).low) * width
    return Interval(max(-width, value - slack), min(width, value + slack), "wilson")


# Of all texts together


JACKKNIFE_GROUPS = 100


def corpus_estimate(figure: Callable[[Array], float], grams: NGrams, texts: int, *, seed: int = SEED) -> Estimate:
    """Return a figure of how often each n-gram occurs (`distinct`, `entropy`), with a delete-a-group jackknife over entities.

    A text that is drawn twice adds no new n-gram, so a bootstrap of such figures lies far below their value; leaving out a
    hundredth of the entities at a time does not (Shao & Tu 1995, section 5.1).
    """
    if not grams.different:
        return Estimate(None, None, texts, grams.entities, "no answer is long enough")
    value = figure(grams.total())
    groups = min(grams.entities, JACKKNIFE_GROUPS)
    if groups < 2:
        return Estimate(value, None, texts, grams.entities)
    group = np.random.default_rng(seed).permutation(grams.entities) % groups
    left = (grams.total((group != k).astype(np.float64)) for k in range(groups))
    without = np.array([figure(counts) for counts in left if counts.any()])
    half = NormalDist().inv_cdf(0.5 + LEVEL / 2) * float(np.sqrt((without.size - 1) * without.var()))
    return Estimate(value, Interval(max(0.0, value - half), value + half, "jackknife"), texts, grams.entities)
