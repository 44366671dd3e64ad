"""Several raters' scores of one answer, fused into one reward.

The rule, first match first:
- a decision by an adjudicator, who had all scores in view, is the reward; one that says “cannot verify” leaves the item without;
- a gold score wins over people and teachers ("wins"), is averaged in with its weight ("weighted"), or is left out ("ignored");
- people's scores: what Dawid & Skene's model of all of the project's scores says of the item, where it was asked for and has
  enough to go by (annotations/statistics/consensus.py), else their median;
- where no person scored, the teachers' scores: their median, their mean by weight, the score that most of them gave (of a tie
  the median), or Dawid & Skene's model of all teachers' scores of the project (with the median where it has too little to go by).
"Cannot verify" is no score and moves nothing.

The consensus score is 1 − (mean absolute difference between all pairs of scores) / 4, the width of the scale: 1 when
all agree, 0 when two raters stand at opposite ends. It is None for a single score, since nobody was there to differ. Of a
reward by the model it is 1 − the entropy of its posterior as a share of the greatest: 1 when the model is certain; of one by
teachers' weights each pair counts by the product of the two; of one by their majority it is the share of them that gave it. An
adjudicator's decision is no part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from math import fsum
from statistics import median
from typing import Any, Literal

from annotations.rubric import HIGHEST, LOWEST

GoldRule = Literal["wins", "weighted", "ignored"]
TeacherRule = Literal["median", "weighted", "majority", "dawid-skene"]
Method = Literal[
    "adjudicated", "gold", "weighted", "dawid-skene", "median", "teachers-weighted", "teachers-majority", "teachers-dawid-skene"
]


@dataclass(frozen=True)
class Given:
    """One rater's live score, as fusion reads it."""

    kind: str
    """person, gold, teacher or adjudicator"""
    rater: str
    overall: float | None
    given_at: datetime
    critique: str = ""
    dimensions: Mapping[str, float] = field(default_factory=dict)
    rubric_version: str = ""
    dated: bool = True
    """whether `given_at` is when it was given: of an imported score that said nothing of that, it is when it came in"""
    number: int = 0
    """the score's"""
    source: Mapping[str, Any] | None = None
    """the file and line that an imported one stood on"""


@dataclass(frozen=True)
class Agreed:
    """What Dawid & Skene's model says of an item's scores by people, or by teachers."""

    score: float
    """the most probable score"""
    expected: float
    """the mean of the posterior"""
    disagreement: float
    """the posterior's entropy as a share of the greatest there can be"""


@dataclass(frozen=True)
class Teachers:
    """How teachers' scores become one, where no person scored."""

    rule: TeacherRule = "median"
    weights: Mapping[str, float] = field(default_factory=dict)
    """by rater; who is not named weighs 1, who weighs 0 is not heard"""
    agreed: Agreed | None = None
    """what the model says of the teachers' scores, where that is the rule and it has enough to go by"""


MEDIAN_OF_TEACHERS = Teachers()


@dataclass(frozen=True)
class Fused:
    reward: float
    feedback: str
    consensus: float | None
    raters: tuple[str, ...]
    given_at: datetime | None
    """when the last of them was given; None where no score says when. A gold answer's is computed, not given"""
    dimensions: Mapping[str, float]
    rubric_version: str
    people: int
    method: Method
    """where the reward comes from"""
    expected: float | None = None
    """the mean of the model's posterior, where the model gave the reward"""
    delta: float | None = None
    """what was added to teachers' scores to agree with preferences, where there are some (annotations/teacher_deltas.py)"""
    heard: tuple[Given, ...] = ()
    """the scores that all this is made of"""
    counted: tuple[Given, ...] = ()
    """of these, the ones that the reward is made of; the others gave words or dimensions alone"""


def fuse(
    scores: Sequence[Given],
    *,
    gold: GoldRule = "wins",
    gold_weight: float = 0.5,
    agreed: Agreed | None = None,
    teachers: Teachers = MEDIAN_OF_TEACHERS,
) -> Fused | None:
    """The fused score, or None where no rater that counts gave one. `agreed` stands for the people's scores, if given."""
    decision = decided(scores)
    if decision is not None and decision.overall is None:
        return None
    heard = [one for one in scores if one.overall is not None and not (one.kind == "gold" and gold == "ignored")]
    # Of several decisions the latest counts, and no other.
    heard = [one for one in heard if one.kind != "adjudicator" or one is decision]
    if not heard:
        return None
    method, reward = _reward(heard, gold, gold_weight, agreed, teachers)
    counted = _counted(heard, method, teachers)
    model = {"dawid-skene": agreed, "teachers-dawid-skene": teachers.agreed}.get(method)
    return Fused(
        reward=reward,
        feedback=_feedback(heard, reward),
        consensus=_consensus([one for one in heard if one is not decision], method, model, teachers),
        raters=tuple(sorted({one.rater for one in heard})),
        given_at=max((one.given_at for one in heard if one.dated and one.kind != "gold"), default=None),
        dimensions=_dimensions(heard),
        rubric_version=max(one.rubric_version for one in heard),
        people=sum(one.kind == "person" for one in heard),
        method=method,
        expected=model.expected if model else None,
        heard=tuple(heard),
        counted=tuple(counted),
    )


def decided(scores: Sequence[Given]) -> Given | None:
    """The adjudicator's decision; it may say that nobody can verify the item."""
    return max((one for one in scores if one.kind == "adjudicator"), key=lambda one: one.given_at, default=None)


def consensus(values: Sequence[float]) -> float | None:
    pairs = [abs(a - b) for a, b in combinations(values, 2)]
    return 1 - fsum(pairs) / len(pairs) / (HIGHEST - LOWEST) if pairs else None


@dataclass(frozen=True)
class TaughtScore:
    """Teachers' scores of one answer as one."""

    rule: TeacherRule
    """the median where the one that was asked for says nothing"""
    score: float
    consensus: float | None
    """as the module says; None for a single teacher"""


def taught(scores: Sequence[Given], teachers: Teachers) -> TaughtScore | None:
    """The teachers' scores as one by their rule; None where none of them gave one."""
    given = [(one.overall, teachers.weights.get(one.rater, 1.0)) for one in scores if one.overall is not None]
    values = [value for value, _ in given]
    if not values:
        return None
    if teachers.rule == "weighted" and (total := fsum(weight for _, weight in given)) > 0:
        mean = fsum(value * weight for value, weight in given) / total
        return TaughtScore("weighted", mean, _weighted_consensus(given))
    if teachers.rule == "majority" and (most := _majority(values)) is not None:
        return TaughtScore("majority", most, values.count(most) / len(values) if len(values) > 1 else None)
    if teachers.rule == "dawid-skene" and teachers.agreed:
        return TaughtScore("dawid-skene", teachers.agreed.score, 1 - teachers.agreed.disagreement)
    return TaughtScore("median", float(median(values)), consensus(values))


def _majority(values: Sequence[float]) -> float | None:
    """The value that is there most often; None where two are equally often."""
    first, *others = Counter(values).most_common(2)
    return None if others and others[0][1] == first[1] else first[0]


def _weighted_consensus(given: Sequence[tuple[float, float]]) -> float | None:
    pairs = [(abs(a - b), v * w) for (a, v), (b, w) in combinations(given, 2)]
    total = fsum(weight for _, weight in pairs)
    return 1 - fsum(apart * weight for apart, weight in pairs) / total / (HIGHEST - LOWEST) if total > 0 else None


def _consensus(heard: Sequence[Given], method: Method, model: Agreed | None, teachers: Teachers) -> float | None:
    if model:
        return 1 - model.disagreement
    if method in ("teachers-weighted", "teachers-majority"):
        by_rule = taught([one for one in heard if one.kind == "teacher"], teachers)
        return by_rule.consensus if by_rule else None
    return consensus(_values(heard))


def _values(scores: Sequence[Given], kind: str | None = None) -> list[float]:
    return [one.overall for one in scores if one.overall is not None and (kind is None or one.kind == kind)]


def _reward(
    heard: Sequence[Given], gold: GoldRule, gold_weight: float, agreed: Agreed | None, teachers: Teachers
) -> tuple[Method, float]:
    if decision := _values(heard, "adjudicator"):
        return "adjudicated", float(decision[0])
    exact = _values(heard, "gold")
    judged = _judged(heard, agreed, teachers)
    if judged is None or (exact and gold == "wins"):
        return "gold", float(exact[0])
    method, value = judged
    return ("weighted", gold_weight * exact[0] + (1 - gold_weight) * value) if exact else (method, value)


def _judged(heard: Sequence[Given], agreed: Agreed | None, teachers: Teachers) -> tuple[Method, float] | None:
    """What people say, else what teachers say; None where neither scored."""
    if people := _values(heard, "person"):
        return ("dawid-skene", agreed.score) if agreed else ("median", float(median(people)))
    by_rule = taught([one for one in heard if one.kind == "teacher"], teachers)
    return (_BY_TEACHERS[by_rule.rule], by_rule.score) if by_rule else None


_BY_TEACHERS: Mapping[TeacherRule, Method] = {
    "median": "median",
    "weighted": "teachers-weighted",
    "majority": "teachers-majority",
    "dawid-skene": "teachers-dawid-skene",
}


def _counted(heard: Sequence[Given], method: Method, teachers: Teachers) -> list[Given]:
    """The scores that a reward by that rule is made of."""
    judges = "person" if any(one.kind == "person" for one in heard) else "teacher"
    kinds = {"adjudicated": {"adjudicator"}, "gold": {"gold"}, "weighted": {"gold", judges}}.get(method, {judges})
    counted = [one for one in heard if one.kind in kinds]
    if method != "teachers-weighted":
        return counted
    return [one for one in counted if teachers.weights.get(one.rater, 1.0) > 0]


def _feedback(heard: Sequence[Given], reward: float) -> str:
    """The decision's critique, else the fullest among the scores nearest to the fused one, so that words and number agree."""
    with_words = [one for one in heard if one.critique.strip() and one.overall is not None]
    if not with_words:
        return ""
    if decision := decided(with_words):
        return decision.critique.strip()
    nearest = min(abs((one.overall or 0) - reward) for one in with_words)
    close = [one.critique.strip() for one in with_words if abs((one.overall or 0) - reward) == nearest]
    return max(close, key=lambda text: (len(text), text))


def _dimensions(heard: Sequence[Given]) -> dict[str, float]:
    """The median of each dimension; the decision's where it gives one."""
    names = sorted({name for one in heard for name in one.dimensions})
    medians = {name: float(median([one.dimensions[name] for one in heard if name in one.dimensions])) for name in names}
    decision = decided(heard)
    return medians | {name: float(value) for name, value in (decision.dimensions if decision else {}).items()}
