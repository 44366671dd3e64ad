"""May a teacher stand in for a person? The alternative annotator test. Pure: arrays in, figures out.

Calderon, Reichart and Dror 2025, “The Alternative Annotator Test for LLM-as-a-Judge” (ACL 2025, section 3). One person at a time
is left out; on each item that they scored, who lies nearer to the other people's scores, they or the teacher? (Root mean squared
difference, as the paper has it for ordinal scores.) The teacher wins over a person where it is nearer, or as near, on a share of
items that is not smaller than the person's by ε or more. ε is what the teacher's lower cost is worth: the paper takes .2 for
experts, .15 for skilled people, .1 for a crowd. p-values of all people together keep the false discovery rate (Benjamini and
Yekutieli 2001). The teacher passes where it wins over at least half of the people.

The paper's authors publish code and data; on their four sets with ordinal scores this module
gives the figures that they print.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from annotations.statistics.annotators import Figure, share
from annotations.statistics.ratings import FloatArray, IntArray, Ratings

EPSILON = 0.15
FALSE_DISCOVERY = 0.05
# Below these the t-test's mean is not normal enough (the paper, section 3.3), and one person alone is nobody to stand in for.
LEAST_ITEMS = 30
LEAST_PEOPLE = 2
# With two people each is measured against the other alone; the paper recommends three.
RECOMMENDED_PEOPLE = 3
PASS = 0.5
FEW_PEOPLE = f"fewer than {LEAST_PEOPLE} people scored {LEAST_ITEMS} items that somebody else and the teacher scored too"


@dataclass(frozen=True, slots=True)
class Against:
    """The teacher against one person."""

    rater: int
    items: int
    teacher: Figure
    """the share of items on which the teacher lies as near to the others as the person, or nearer"""
    person: Figure
    """the same the other way round; ties count for both"""
    p: float | None
    """one-sided, of the teacher's share being smaller by ε or more; None where the person scored too few items"""
    wins: bool | None
    """after adjustment for all people tested"""


@dataclass(frozen=True, slots=True)
class AlternativeTest:
    """The test's verdict. `passed` is None where it cannot be given, and `reason` says why."""

    passed: bool | None
    winning_rate: float | None
    """over how large a share of the people tested the teacher wins"""
    advantage: float | None
    """the mean of the teacher's shares: how probably it is as good as or better than a person drawn at random"""
    epsilon: float
    people: tuple[Against, ...]
    reason: str | None = None

    @property
    def tested(self) -> int:
        return sum(one.p is not None for one in self.people)


def alternative_annotator_test(
    people: Ratings, item: npt.ArrayLike, value: npt.ArrayLike, *, epsilon: float = EPSILON, q: float = FALSE_DISCOVERY
) -> AlternativeTest:
    """`people` are people's scores; `item` and `value` the teacher's, at most one an item, NaN where it gave none.

    Raises ValueError where the teacher scored an item twice.
    """
    compared, teacher = _compared(people, np.asarray(item, np.int64), np.asarray(value, np.float64))
    near_teacher, near_person = _nearer(compared, teacher)
    found = []
    for rater in np.unique(compared.rater):
        mine = compared.rater == rater
        found.append(_against(int(rater), near_teacher[mine], near_person[mine], epsilon))
    tested = [one for one in found if one.p is not None]
    if len(tested) < LEAST_PEOPLE:
        return AlternativeTest(None, None, None, epsilon, tuple(found), FEW_PEOPLE)
    rejected = dict(zip([one.rater for one in tested], benjamini_yekutieli([one.p or 0.0 for one in tested], q), strict=True))
    told = tuple(
        Against(one.rater, one.items, one.teacher, one.person, one.p, rejected.get(one.rater) if one.p is not None else None)
        for one in found
    )
    rate = sum(rejected.values()) / len(tested)
    advantage = float(np.mean([one.teacher.value for one in tested]))
    return AlternativeTest(rate >= PASS, rate, advantage, epsilon, told)


def _compared(people: Ratings, item: IntArray, value: FloatArray) -> tuple[Ratings, FloatArray]:
    """People's scores of items with two of them at least and the teacher's, which comes beside each."""
    given = ~np.isnan(value)
    item, value = item[given], value[given]
    order = np.argsort(item)
    item, value = item[order], value[order]
    if (item[1:] == item[:-1]).any():
        raise ValueError("the teacher scored an item twice")
    shared = people.shared
    compared = shared.where(np.isin(shared.item, item))
    return compared, value[np.searchsorted(item, compared.item)]


def _nearer(people: Ratings, teacher: FloatArray) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For each score of a person: whether the teacher, and whether the person, lies nearer to the others' (or as near).

    m·MSE(x) = m·x² − 2x·Σo + Σo² over the m others' scores o: for scores in half steps all of it is exact, so a tie is a tie.
    """
    if not people.item.size:
        nobody = np.zeros(0, np.bool_)
        return nobody, nobody
    _, index, count = np.unique(people.item, return_inverse=True, return_counts=True)
    others = (count[index] - 1).astype(np.float64)
    total = np.bincount(index, people.value)[index] - people.value
    squares = np.bincount(index, people.value**2)[index] - people.value**2

    def apart(x: FloatArray) -> FloatArray:
        return others * x**2 - 2 * x * total + squares

    difference = apart(teacher) - apart(people.value)
    close = np.isclose(difference, 0, atol=1e-9)
    return (difference < 0) | close, (difference > 0) | close


def _against(rater: int, teacher: npt.NDArray[np.bool_], person: npt.NDArray[np.bool_], epsilon: float) -> Against:
    n = teacher.size
    behind = person.astype(np.float64) - teacher
    return Against(
        rater=rater,
        items=n,
        teacher=share(int(teacher.sum()), n, FEW_PEOPLE),
        person=share(int(person.sum()), n, FEW_PEOPLE),
        p=_p_below(behind, epsilon) if n >= LEAST_ITEMS else None,
        wins=None,
    )


def _p_below(values: FloatArray, bound: float) -> float:
    """Student's one-sided p of the mean not lying below `bound`."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / values.size**0.5
    if error == 0:
        return 0.0 if mean < bound else 1.0
    return float(special.stdtr(values.size - 1, (mean - bound) / error))


def benjamini_yekutieli(p: list[float], q: float) -> list[bool]:
    """Which hypotheses are rejected at a false discovery rate of q, whatever depends on what (2001, theorem 1.3)."""
    order = np.argsort(p, kind="stable")
    m = len(p)
    bounds = np.arange(1, m + 1) * q / (m * float((1 / np.arange(1, m + 1)).sum()))
    below = np.flatnonzero(np.asarray(p)[order] <= bounds)
    rejected = np.zeros(m, np.bool_)
    if below.size:
        rejected[order[: below[-1] + 1]] = True
    return [bool(one) for one in rejected]
