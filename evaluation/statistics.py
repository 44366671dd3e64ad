"""Intervals for the scorecard's metrics: a bootstrap over entities, Wilson where the bootstrap has nothing to vary.

Items about one entity stand or fall together, so entities are drawn with replacement, not items (a cluster
bootstrap; Davison & Hinkley 1997, section 3.8). All draws are seeded: the same answers give the same intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from evaluation.metrics import METRICS, Answered, Answers, Array, Metric, Tally, columns_of

RESAMPLES = 1000
LEVEL = 0.95
SEED = 20
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval at `LEVEL`; `method` says where it came from."""

    low: float
    high: float
    method: Literal["bootstrap", "wilson"]


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
    """Second minus first, with its interval; `n` counts the pairs (or the smaller group where nothing is paired)."""

    value: float | None
    interval: Interval | None
    n: int
    reason: str | None = None

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


def wilson(share: float, n: int, *, level: float = LEVEL) -> Interval:
    """Return Wilson's score interval for a share seen on n independent units (Wilson 1927, equation in section 3)."""
    if n < 1:
        raise ValueError("a share needs at least one unit")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    # At 0 and 1 the equation gives the share itself, but for rounding.
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), "wilson")


def entity_weights(entities: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """Return how often each entity is drawn in each resample: shape (resamples, entities), rows sum to `entities`."""
    draws = np.random.default_rng(seed).integers(0, entities, size=(resamples, entities))
    flat = draws + np.arange(resamples)[:, None] * entities
    counts = np.bincount(flat.ravel(), minlength=resamples * entities)
    return counts.reshape(resamples, entities).astype(np.float64)


def estimates(
    answers: Answers, *, names: Iterable[str] = METRICS, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Estimate]:
    """Return each named metric on `answers`, with its interval, or with the reason why there is none."""
    point = Tally(answers)
    drawn = Tally(answers, entity_weights(answers.entities, resamples=resamples, seed=seed)) if answers.n else point
    return {name: _estimate(METRICS[name], point, drawn) for name in names}


def _estimate(metric: Metric, point: Tally, drawn: Tally) -> Estimate:
    rests_on = metric.over.mask(point.answers)
    n = int(rests_on.sum())
    entities = int(np.unique(point.answers.entity[rests_on]).size)
    reason = metric.missing(point.answers)
    if reason is not None:
        return Estimate(None, None, n, entities, reason)
    value = float(metric.value(point)[0])
    return Estimate(value, _interval(metric, value, metric.value(drawn), entities), n, entities)


def _interval(metric: Metric, value: float, samples: Array, entities: int) -> Interval:
    low, high = _percentiles(samples)
    if high - low < _SAME:
        return _no_spread(metric, value, entities)
    if metric.plug_in_bias:
        # Resampling adds a plug-in estimate's bias a second time; the reflected interval takes it off again.
        low, high = 2 * value - high, 2 * value - low
    return Interval(max(metric.low, min(low, value)), min(metric.high, max(high, value)), "bootstrap")


def _no_spread(metric: Metric, value: float, entities: int) -> Interval:
    """Return Wilson's interval on the metric's own range: all entities alike is no proof that the next one is."""
    width = metric.high - metric.low
    share = min(1.0, max(0.0, (value - metric.low) / width))
    unit = wilson(share, entities)
    return Interval(metric.low + unit.low * width, metric.low + unit.high * width, "wilson")


def _percentiles(samples: Array) -> tuple[float, float]:
    finite = samples[np.isfinite(samples)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def paired_differences(
    first: Sequence[Answered],
    second: Sequence[Answered],
    *,
    names: Iterable[str] = METRICS,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Difference]:
    """Return second − first for each metric, on the items both answered, drawing the same entities for both."""
    before, after = _aligned(first, second)
    if not before.n:
        return {name: Difference(None, None, 0, "no item in common") for name in names}
    weights = entity_weights(before.entities, resamples=resamples, seed=seed)
    return {name: _difference(METRICS[name], (before, after), (weights, weights), before.entities) for name in names}


def _aligned(first: Sequence[Answered], second: Sequence[Answered]) -> tuple[Answers, Answers]:
    by_item = {record.item: record for record in second}
    pairs = [(record, by_item[record.item]) for record in first if record.item in by_item]
    return columns_of([a for a, _ in pairs]), columns_of([b for _, b in pairs])


def gap(trained_on: Answers, held_out: Answers, name: str, *, resamples: int = RESAMPLES, seed: int = SEED) -> Difference:
    """Return a metric's trained-on minus held-out difference; the two groups of entities are drawn apart."""
    if not (trained_on.n and held_out.n):
        return Difference(None, None, 0, "needs items on both sides")
    weights = (
        entity_weights(held_out.entities, resamples=resamples, seed=seed),
        entity_weights(trained_on.entities, resamples=resamples, seed=seed + 1),
    )
    smaller = min(held_out.entities, trained_on.entities)
    return _difference(METRICS[name], (held_out, trained_on), weights, smaller)


def _difference(metric: Metric, sides: tuple[Answers, Answers], weights: tuple[Array, Array], entities: int) -> Difference:
    n = min(int(metric.over.mask(side).sum()) for side in sides)
    reason = metric.missing(sides[0]) or metric.missing(sides[1])
    if reason is not None:
        return Difference(None, None, n, reason)
    first, second = (float(metric.value(Tally(side))[0]) for side in sides)
    drawn = [metric.value(Tally(side, weight)) for side, weight in zip(sides, weights, strict=True)]
    low, high = _percentiles(drawn[1] - drawn[0])
    value = second - first
    if high - low < _SAME:
        return Difference(value, _no_spread_of_difference(metric, value, entities), n)
    return Difference(value, Interval(min(low, value), max(high, value), "bootstrap"), n)


def _no_spread_of_difference(metric: Metric, value: float, entities: int) -> Interval:
    """Return Wilson's interval on the range of a difference, from −(high − low) to +(high − low), around `value`."""
    width = metric.high - metric.low
    slack = (1 - wilson(1.0, entities).low) * width
    return Interval(max(-width, value - slack), min(width, value + slack), "wilson")
