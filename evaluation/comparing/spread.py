"""How far a paired difference may be off by chance, where the two models' figures do not rest on the same answers.

Swapping sides gives both sides about as many answers each. Where one model attempts 20 questions and the other all 400, what is
then drawn varies far less than what was seen: such a permutation test called one difference in three real where there was none
(docs/design/scorecard.md, Tests). So a difference also has to stand against its own standard error, by Student's t:

- the error is that of the paired bootstrap;
- of a side that rests on few answers, it is never less than both models' answers together make likely for so many: twenty right
  answers out of twenty vary in no resample, and prove little;
- the degrees of freedom are Welch's and Satterthwaite's, of the entities on which each side rests (Satterthwaite 1946).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from statistics import NormalDist

import numpy as np

from evaluation.metrics import Array, Mask, Metric, Tally
from evaluation.metrics.columns import C

_SAME = 1e-12
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Spread:
    """A difference's standard error, with its degrees of freedom; `alike` says whether both sides rest on the same answers."""

    error: float
    freedom: float
    alike: bool

    def p(self, difference: float) -> float:
        """Return the two-sided p-value of a difference; 1 where a side rests on one entity, which tells nothing of its error."""
        if abs(difference) < _SAME or self.freedom <= 0:
            return 1.0
        return 2 * (1 - _NORMAL.cdf(_to_normal(abs(difference) / self.error, self.freedom))) if self.error > _SAME else 0.0

    def half(self, level: float) -> float:
        """Return half the width of the interval at `level`."""
        return self.error * _from_normal(_NORMAL.inv_cdf(0.5 + level / 2), self.freedom) if self.freedom > 0 else inf


def _to_normal(t: float, freedom: float) -> float:
    """Return the normal deviate of the same tail (Wallace 1959, Annals of Mathematical Statistics 30:1121); scipy, which has the
    exact one, is no part of the web process.
    """
    return _shrunk(freedom) * sqrt(freedom * log(1 + t * t / freedom))


def _from_normal(z: float, freedom: float) -> float:
    return sqrt(freedom * (exp((z / _shrunk(freedom)) ** 2 / freedom) - 1))


def _shrunk(freedom: float) -> float:
    return (8 * freedom + 1) / (8 * freedom + 3)


def spread_of(metric: Metric[C], sides: Sequence[C], drawn: Sequence[Tally[C]], pooled: Callable[[], Tally[C]]) -> Spread:
    """Return a metric's spread between two models; `sides` and `drawn` are theirs, as they are and resampled alike, and `pooled`
    a resampling of both models' answers as if they were of one.
    """
    samples = [metric.value(one) for one in drawn]
    error, each = _variance(samples[1] - samples[0]), [_variance(one) for one in samples]
    bases = [[basis.mask(side) for basis in (metric.over, *metric.needs)] for side in sides]
    entities = [[_entities(side, mask) for mask in masks] for side, masks in zip(sides, bases, strict=True)]
    alike = all(np.array_equal(one, other) for one, other in zip(*bases, strict=True))
    if not alike:
        together = _variance(metric.value(pooled()))
        for side, counted in enumerate(entities):
            fewer = max(sum(both) / own for both, own in zip(zip(*entities, strict=True), counted, strict=True))
            error += max(0.0, together * fewer - each[side])
            each[side] = max(each[side], together * fewer)
    return Spread(sqrt(error), _freedom(each, [min(counted) for counted in entities]), alike)


def _variance(samples: Array) -> float:
    defined = samples[np.isfinite(samples)]
    return float(defined.var()) if defined.size else 0.0


def _entities(side: C, mask: Mask) -> int:
    return int(np.unique(side.entity[mask]).size)


def _freedom(variances: Sequence[float], entities: Sequence[int]) -> float:
    if min(entities) < 2:
        return 0.0
    share = sum(variance**2 / (number - 1) for variance, number in zip(variances, entities, strict=True))
    return sum(variances) ** 2 / share if share > 0 else min(entities) - 1.0
