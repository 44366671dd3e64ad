"""What a metric is: a formula with its name, range, direction and source, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal

from evaluation.metrics.columns import Array, C, Mask, Tally

Better = Literal["higher", "lower", "neither"]
Group = Literal["honesty", "abstention", "ability", "calibration", "text", "pressure", "belief", "change", "preference"]


@dataclass(frozen=True, slots=True)
class Basis(Generic[C]):
    """Rows that a metric counts, and what to say when there are none."""

    mask: Callable[[C], Mask]
    reason: str


@dataclass(frozen=True)
class Metric(Generic[C]):
    """One row of the scorecard. `over` is what n counts; each of `needs` must be there too; `low`…`high` is the range.

    A metric that is a plain share of `over` names its `event` and has no other formula.
    """

    title: str
    group: Group
    better: Better
    low: float
    high: float
    formula: str
    source: str
    over: Basis[C]
    event: Callable[[C], Mask] | None = None
    other: Callable[[Tally[C]], Array] | None = None
    needs: tuple[Basis[C], ...] = ()
    by_chance: Callable[[C, int, int], Array] | None = None
    """Of a metric that is never negative and so too high in small samples: what it comes to by chance alone where in truth it
    is 0, drawn so many times (second) with a seed (third)."""
    ranks: bool = False
    """It ranks answers, so a resample costs a weight for each answer, or a sum for each value, beside one for each entity."""
    same_as: str | None = None
    """The metric of the same table that is the same figure by another name: one test, not two."""

    @property
    def comparable(self) -> bool:
        """Whether a difference between two models can be tested. What is too high in small samples is higher for who answers
        less, by that alone.
        """
        return self.by_chance is None

    def value(self, tally: Tally[C]) -> Array:
        """Return the metric under each of the tally's weightings: shape (R,), NaN where undefined."""
        if self.event is not None:
            return tally.share(self.event(tally.columns), self.over.mask(tally.columns))
        assert self.other is not None
        return self.other(tally)

    def missing(self, columns: C) -> str | None:
        """Return why this metric cannot be computed on `columns`, or None when it can."""
        if not columns.n:
            return "no items"
        return next((basis.reason for basis in (self.over, *self.needs) if not basis.mask(columns).any()), None)


def value_of(metric: Metric[C], columns: C) -> float | None:
    """Return a metric's value, or None where it cannot be computed."""
    return None if metric.missing(columns) else float(metric.value(Tally(columns))[0])
