"""How good a teacher's orders of answers are, measured against people's. Pure: orders in, figures out.

What is compared is every two answers of a prompt that both have seen. Of those, people prefer one where more of them put it first
than the other; a teacher's tie agrees by half. Pairs of one prompt hang together, so intervals come from drawing whole prompts
anew.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from annotations.statistics.annotators import Figure
from annotations.statistics.intervals import LEVEL, RESAMPLES, SEED, Interval, wilson
from annotations.statistics.ratings import FloatArray

# The rank of each answer that somebody saw: 1 is best, equal ranks are a tie.
Order = Mapping[int, int]
# Which prompts are drawn, a row each time.
Drawn = npt.NDArray[np.int64]
NO_BOTH = "people and the teacher have ordered no two answers in common of which people prefer one"
NO_TWO_PEOPLE = "no two people have ordered the same answers"
NO_TAU = "no order in common tells answers apart"
ONE_PROMPT = "one prompt alone"
NOT_ASKED = "no two answers were asked about in both orders"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The orders of one prompt's answers: the teacher's, and people's by who gave them."""

    teacher: Order | None
    people: Mapping[Hashable, Order]


@dataclass(frozen=True, slots=True)
class PairwiseQuality:
    """What can be said of one teacher's orders in one project."""

    prompts: int
    """that people and the teacher ordered"""
    agreement: Figure
    """of the pairs of which people prefer one, the share of which the teacher prefers the same, a tie being half; n: pairs"""
    ties: Figure
    """the share of these pairs that are a tie to the teacher"""
    tau: Figure
    """the mean over prompts of Kendall's τ-b between its order and people's, answers by how many others they beat; n: prompts"""
    people: Figure
    """the same agreement, of each person with the others: how far people agree themselves"""
    consistent: Figure
    """of the pairs that it was asked about in both orders, the share of which it said the same; else they are ties"""


def pairwise_quality(prompts: Sequence[Prompt], *, consistent: int, asked_twice: int, seed: int = SEED) -> PairwiseQuality:
    """`consistent` of `asked_twice` pairs were told alike in both orders. Raises ValueError where that is more than all."""
    if not 0 <= consistent <= asked_twice:
        raise ValueError("of no pair more than all can be consistent")
    both = [one for one in prompts if one.teacher and one.people]
    against = [_against(one.teacher, list(one.people.values())) for one in both if one.teacher]
    taus = [tau for one in both if one.teacher and (tau := _tau(one.teacher, list(one.people.values()))) is not None]
    among = [_among(one.people) for one in prompts]
    return PairwiseQuality(
        prompts=len(both),
        agreement=_share([(one.agreeing, one.pairs) for one in against], NO_BOTH, seed),
        ties=_share([(one.ties, one.pairs) for one in against], NO_BOTH, seed),
        tau=_mean(taus, seed),
        people=_share([(one.agreeing, one.pairs) for one in among], NO_TWO_PEOPLE, seed),
        consistent=Figure(consistent / asked_twice, wilson(consistent / asked_twice, asked_twice), asked_twice)
        if asked_twice
        else Figure(None, None, 0, NOT_ASKED),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """One order held against others: of so many pairs it agrees on so many, ties being half, and so many are ties to it."""

    agreeing: float = 0.0
    pairs: int = 0
    ties: int = 0


def _preferred(orders: Sequence[Order], one: int, other: int) -> int:
    """Which of two answers is first by more of the orders than the other: above 0 the one, below 0 the other; 0 neither."""
    seen = [order for order in orders if one in order and other in order]
    return sum((order[one] < order[other]) - (order[one] > order[other]) for order in seen)


def _against(order: Order, others: Sequence[Order]) -> _Held:
    agreeing, pairs, ties = 0.0, 0, 0
    for one, other in combinations(sorted(order), 2):
        wanted = _preferred(others, one, other)
        if not wanted:
            continue
        said = _preferred([order], one, other)
        pairs += 1
        ties += not said
        agreeing += 0.5 if not said else float((said > 0) == (wanted > 0))
    return _Held(agreeing, pairs, ties)


def _among(people: Mapping[Hashable, Order]) -> _Held:
    held = [_against(order, [other for who, other in people.items() if who != rater]) for rater, order in people.items()]
    return _Held(sum(one.agreeing for one in held), sum(one.pairs for one in held))


def _tau(order: Order, people: Sequence[Order]) -> float | None:
    """Kendall's τ-b (1945) of one prompt; None where either order tells nothing apart."""
    seen = sorted(one for one in order if any(one in told for told in people))
    if len(seen) < 2:
        return None
    beaten = [sum(np.sign(_preferred(people, one, other)) for other in seen if other != one) for one in seen]
    tau = stats.kendalltau([-order[one] for one in seen], beaten).statistic if len({*beaten}) > 1 else float("nan")
    return None if np.isnan(tau) else float(tau)


def _share(parts: Sequence[tuple[float, int]], why_none: str, seed: int) -> Figure:
    """Of (of which, of how many) by prompt the share over all."""
    kept = np.array([one for one in parts if one[1]], np.float64).reshape(-1, 2)
    if not len(kept):
        return Figure(None, None, 0, why_none)
    of, n = kept.sum(axis=0)
    return _drawn(of / n, int(n), len(kept), lambda drawn: kept[drawn, 0].sum(axis=1) / kept[drawn, 1].sum(axis=1), seed)


def _mean(values: Sequence[float], seed: int) -> Figure:
    if not values:
        return Figure(None, None, 0, NO_TAU)
    kept = np.array(values)
    return _drawn(float(kept.mean()), len(kept), len(kept), lambda drawn: kept[drawn].mean(axis=1), seed)


def _drawn(value: float, n: int, prompts: int, again: Callable[[Drawn], FloatArray], seed: int) -> Figure:
    """The figure with a percentile interval over prompts that are drawn anew, as many as there are."""
    if prompts < 2:
        return Figure(float(value), None, n, ONE_PROMPT)
    rng = np.random.default_rng(seed)
    values = again(rng.integers(0, prompts, (RESAMPLES, prompts)))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(value), Interval(float(low), float(high), "bootstrap"), n)
