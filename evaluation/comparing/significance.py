"""Tests of whether two models differ on the same questions, and what many tests do to one another.

- Entities' answers change sides at random (a permutation test of matched pairs: Pesarin & Salmaso 2010, chapter 1; in
  evaluations Noreen 1989): under the hypothesis that it does not matter which model answered, all 2^E ways are equally likely. By
  entity and not by answer, for answers about one entity stand or fall together.
- Where each entity has one question and the metric is a share of questions, that test has a closed form: McNemar's, exact
  (McNemar 1947; Edwards 1948).
- Where models attempt different questions, swapping alone errs: there a difference has to stand against its own standard error
  too (`spread`).
- Drawing stops once enough swaps were as far apart as what was seen (Besag & Clifford 1991, Biometrika 78:301), so that only
  small p-values cost many draws.
- Holm 1979, Scandinavian Journal of Statistics 6:65: adjusted p-values that hold the chance of a single false alarm in the whole
  family below the level, whatever the tests have to do with each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.comparing.spread import Spread
from evaluation.metrics import Array, Metric, SwappedTally, stack
from evaluation.metrics.columns import C

PERMUTATIONS = 9_999
"""Drawn at most: a p-value is never below 1/10,000."""
FEWER_PERMUTATIONS = 2_999
"""Where more would take long: metrics that rank answers, and many entities. Enough for Holm's first step among 150 tests."""
_MANY_ENTITIES = 2_000
ENOUGH = 100
"""Drawing stops once so many swaps were at least as far apart as what was seen."""
_DRAWN_AT_ONCE = 1_000
_CELLS = 4_000_000
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A two-sided p-value, and the test that it comes from."""

    p: float
    method: Literal["permutation", "mcnemar", "bootstrap"]

    def and_by(self, spread: Spread, difference: float) -> PairedTest:
        """Return the weaker of this test and that of the difference against its own standard error.

        Swapping sides holds what it says where it does not matter which model answered, however few the questions; the standard
        error where only the figure is the same, but the answers it rests on are not. Who asks for both errs in neither case.
        """
        by_spread = 0.0 if self.method == "mcnemar" else spread.p(difference)
        return PairedTest(by_spread, "bootstrap") if by_spread > self.p else self


def paired_tests(
    metrics: Mapping[str, Metric[C]], first: C, second: C, *, seed: int, permutations: int = PERMUTATIONS
) -> dict[str, PairedTest]:
    """Test each metric on two models' answers to the same questions, row for row. A metric that cannot be computed on one of the
    two is not in the result.
    """
    defined = {n: m for n, m in metrics.items() if m.missing(first) is None and m.missing(second) is None}
    exact = {n: p for n, m in defined.items() if (p := _mcnemar(m, first, second)) is not None}
    others = {name: metric for name, metric in defined.items() if name not in exact}
    drawn = _permutation(others, stack(first, second), seed, permutations) if others else {}
    return {n: PairedTest(exact[n], "mcnemar") if n in exact else PairedTest(drawn[n], "permutation") for n in defined}


def _mcnemar(metric: Metric[C], first: C, second: C) -> float | None:
    """Return McNemar's p where it is the test to take: a share of the same questions, one question an entity."""
    if metric.event is None or first.entities < first.n:
        return None
    over = metric.over.mask(first)
    if not np.array_equal(over, metric.over.mask(second)):
        return None
    before, after = metric.event(first)[over], metric.event(second)[over]
    return mcnemar_exact(int((before & ~after).sum()), int((~before & after).sum()))


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided p of McNemar's exact test: of the questions that changed, each was as likely lost as gained."""
    changed, fewer = lost + gained, min(lost, gained)
    ways, tail = 1, 0
    for k in range(fewer + 1):
        tail += ways
        ways = ways * (changed - k) // (k + 1)
    # Whole numbers until here, for 2^changed is soon beyond what a float holds.
    return min(1.0, tail / 2 ** (changed - 1)) if changed else 1.0


class _Counter:
    """One metric's swaps: how many were at least as far apart as what was seen, until there are enough of them."""

    def __init__(self, seen: float, at_most: int) -> None:
        self._seen = abs(seen) - _SAME
        self._at_most = at_most
        self._drawn = 0
        self._far = 0

    @property
    def done(self) -> bool:
        return self._far >= ENOUGH or self._drawn >= self._at_most

    def count(self, differences: Array) -> None:
        differences = differences[: self._at_most - self._drawn]
        # A swap that leaves the metric undefined says nothing against the hypothesis.
        far = np.flatnonzero(~(np.abs(differences) < self._seen))
        needed = ENOUGH - self._far
        if far.size >= needed:
            self._drawn += int(far[needed - 1]) + 1
            self._far = ENOUGH
        else:
            self._drawn += differences.size
            self._far += far.size

    @property
    def p(self) -> float:
        # What was seen is itself one of the equally likely ways, unless drawing stopped by the count.
        return self._far / self._drawn if self._far >= ENOUGH else (self._far + 1) / (self._drawn + 1)


def _permutation(metrics: Mapping[str, Metric[C]], stacked: C, seed: int, permutations: int) -> dict[str, float]:
    entities = stacked.entities // 2
    limits = {name: min(permutations, _at_most(metric, entities)) for name, metric in metrics.items()}
    seen = _differences(metrics, stacked, np.zeros((1, entities)))
    counters = {name: _Counter(float(seen[name][0]), limits[name]) for name in metrics}
    for swaps in _swaps(entities, max(limits.values()), seed):
        still = {name: metric for name, metric in metrics.items() if not counters[name].done}
        if not still:
            break
        for name, differences in _differences(still, stacked, swaps).items():
            counters[name].count(differences)
    return {name: counter.p for name, counter in counters.items()}


def _at_most(metric: Metric[C], entities: int) -> int:
    return FEWER_PERMUTATIONS if metric.ranks or entities > _MANY_ENTITIES else PERMUTATIONS


def _swaps(entities: int, number: int, seed: int) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    left = number
    while left:
        some = min(left, _DRAWN_AT_ONCE, max(1, _CELLS // entities))
        yield rng.integers(0, 2, size=(some, entities)).astype(np.float64)
        left -= some


def _differences(metrics: Mapping[str, Metric[C]], stacked: C, swaps: Array) -> dict[str, Array]:
    first, second = (SwappedTally(stacked, swaps, side) for side in (0, 1))
    return {name: metric.value(second) - metric.value(first) for name, metric in metrics.items()}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p-values, in the order given; a test that could not be made (None) is none of the family."""
    made = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * p))
        adjusted[index] = highest
    return adjusted
