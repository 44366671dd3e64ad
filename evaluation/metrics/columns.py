"""Columns of judged answers, and weighted sums over them.

A metric is written once, as a function of a `Tally`: sums over columns under R weightings of their entities. One row of
ones gives the point estimate, a thousand resampled rows give its bootstrap distribution, and swapped rows those of a
permutation test; so the value, its interval and its test can never come from different formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

_CELLS = 250_000
"""What is held at once, in numbers, where weights are needed for each answer and not only for each entity."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of length n; `entity` holds codes in [0, entities): whatever is about one entity stands or falls together."""

    entity: Codes
    entities: int

    @property
    def n(self) -> int:
        return int(self.entity.size)

    def where(self, mask: Mask) -> Self:
        """Return the rows under `mask`, entities coded anew."""
        present, codes = np.unique(self.entity[mask], return_inverse=True)
        picked: dict[str, Any] = {f.name: getattr(self, f.name)[mask] for f in fields(self) if f.name != "entities"}
        return replace(self, **(picked | {"entity": codes.astype(np.intp), "entities": int(present.size)}))


C = TypeVar("C", bound=Columns)
T = TypeVar("T")


def entity_codes(names: list[str]) -> tuple[Codes, int]:
    """Return each name's code in [0, k), names in alphabetical order, and k."""
    present, codes = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    return codes.astype(np.intp), int(present.size)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide, with NaN where the denominator is 0."""
    quotient: Array = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


class Tally(Generic[C]):
    """Sums over columns under `weights`, shape (R, entities), which are whole numbers; every sum has shape (R,)."""

    def __init__(self, columns: C, weights: Array | None = None) -> None:
        self.columns = columns
        self._weights = np.ones((1, columns.entities)) if weights is None else weights
        self._kept: dict[bytes, Array] = {}
        self._made: dict[Callable[[Self], Any], Any] = {}

    def total(self, values: Array | Mask) -> Array:
        """Return the weighted sum of a column. Many metrics share their sums, so those made are kept."""
        by_entity = self.by_entity(values)
        key = by_entity.tobytes()
        if key not in self._kept:
            self._kept[key] = self._summed(by_entity)
        return self._kept[key]

    def by_entity(self, values: Array | Mask) -> Array:
        """Return a column's sum for each entity."""
        c = self.columns
        return np.bincount(c.entity, weights=values.astype(np.float64), minlength=c.entities).astype(np.float64)

    def counts(self, rows: Codes, codes: Codes, kinds: int) -> Array:
        """Return how many of these rows, which have a code each in [0, kinds), are of each: shape (R, kinds)."""
        c = self.columns
        by_entity = np.bincount(c.entity[rows] * kinds + codes, minlength=c.entities * kinds).reshape(c.entities, kinds)
        return self._summed(by_entity.astype(np.float64))

    def share(self, mask: Mask, among: Mask) -> Array:
        """Return the weighted share of `mask` among `among`."""
        return ratio(self.total(mask & among), self.total(among))

    def once(self, make: Callable[[Self], T]) -> T:
        """Return `make(self)`, which is made once, for what several metrics are read from."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found

    def blocks(self, rows: Codes) -> Iterator[Array]:
        """Yield the weights of these rows of the columns, some resamples at a time: shape (some, rows)."""
        weights = self._by_row_weights
        some = max(1, _CELLS // max(1, rows.size))
        for start in range(0, len(weights), some):
            yield weights[start : start + some, self.columns.entity[rows]]

    @cached_property
    def n(self) -> Array:
        return self.total(np.ones(self.columns.n))

    @property
    def _by_row_weights(self) -> Array:
        """Weights by entity code, shape (R, entities)."""
        return self._weights

    def _summed(self, by_entity: Array) -> Array:
        return np.asarray(self._weights @ by_entity, dtype=np.float64)


class SwappedTally(Tally[C]):
    """Sums over one of two models' columns after some entities' answers have changed sides.

    `stacked` has the first model's rows with entities 0…E−1, then the second model's with E…2E−1. `swaps`, shape (R, E), is 1
    where an entity's answers change sides. `side` 0 is what then stands on the first model's side.
    """

    def __init__(self, stacked: C, swaps: Array, side: int) -> None:
        super().__init__(stacked, swaps)
        self._side = side

    @cached_property
    def _by_row_weights(self) -> Array:
        swapped = self._weights
        return np.concatenate([swapped, 1 - swapped] if self._side else [1 - swapped, swapped], axis=1)

    def _summed(self, by_entity: Array) -> Array:
        first, second = np.split(by_entity, 2)
        own, other = (second, first) if self._side else (first, second)
        # A matrix product half as wide as the one with both sides' weights.
        return np.asarray(own.sum(axis=0) + self._weights @ (other - own), dtype=np.float64)


def stack(first: C, second: C) -> C:
    """Put two models' columns about the same entities one below the other, as `SwappedTally` wants them."""
    joined: dict[str, Any] = {
        f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
        for f in fields(first)
        if f.name not in ("entity", "entities")
    }
    entity = np.concatenate([first.entity, second.entity + first.entities])
    return replace(first, **joined, entity=entity, entities=2 * first.entities)
