"""Several raters' scores of one answer, fused into one reward.

The rule: the reward is the median of the people's scores; where no person scored, the median of the teachers'.
A gold score, where there is one, wins over both ("wins"), is averaged in with its weight ("weighted"), or is left out
("ignored"). "Cannot verify" is no score and moves nothing.

The consensus score is 1 − (mean absolute difference between all pairs of scores) / 4, the width of the scale: 1 when
all agree, 0 when two raters stand at opposite ends. It is None for a single score, since nobody was there to differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from statistics import median
from typing import Literal

from annotations.rubric import HIGHEST, LOWEST

GoldRule = Literal["wins", "weighted", "ignored"]


@dataclass(frozen=True)
class Given:
    """One rater's live score, as fusion reads it."""

    kind: str
    """person, gold or teacher"""
    rater: str
    overall: float | None
    given_at: datetime
    critique: str = ""
    dimensions: Mapping[str, float] = field(default_factory=dict)
    rubric_version: str = ""


@dataclass(frozen=True)
class Fused:
    reward: float
    feedback: str
    consensus: float | None
    raters: tuple[str, ...]
    given_at: datetime
    dimensions: Mapping[str, float]
    rubric_version: str
    people: int


def fuse(scores: Sequence[Given], *, gold: GoldRule = "wins", gold_weight: float = 0.5) -> Fused | None:
    """The fused score, or None where no rater that counts gave one."""
    heard = [one for one in scores if one.overall is not None and not (one.kind == "gold" and gold == "ignored")]
    if not heard:
        return None
    reward = _reward(heard, gold, gold_weight)
    return Fused(
        reward=reward,
        feedback=_feedback(heard, reward),
        consensus=consensus(_values(heard)),
        raters=tuple(sorted({one.rater for one in heard})),
        given_at=max(one.given_at for one in heard),
        dimensions=_dimensions(heard),
        rubric_version=max(one.rubric_version for one in heard),
        people=sum(one.kind == "person" for one in heard),
    )


def consensus(values: Sequence[float]) -> float | None:
    pairs = [abs(a - b) for a, b in combinations(values, 2)]
    return 1 - sum(pairs) / len(pairs) / (HIGHEST - LOWEST) if pairs else None


def _values(scores: Sequence[Given], kind: str | None = None) -> list[float]:
    return [one.overall for one in scores if one.overall is not None and (kind is None or one.kind == kind)]


def _reward(heard: Sequence[Given], gold: GoldRule, gold_weight: float) -> float:
    judged = _values(heard, "person") or _values(heard, "teacher")
    exact = _values(heard, "gold")
    if not exact:
        return float(median(judged))
    if gold == "weighted" and judged:
        return gold_weight * exact[0] + (1 - gold_weight) * float(median(judged))
    return float(exact[0])


def _feedback(heard: Sequence[Given], reward: float) -> str:
    """The fullest critique among the scores nearest to the fused one, so that words and number agree."""
    with_words = [one for one in heard if one.critique.strip() and one.overall is not None]
    if not with_words:
        return ""
    nearest = min(abs((one.overall or 0) - reward) for one in with_words)
    close = [one.critique.strip() for one in with_words if abs((one.overall or 0) - reward) == nearest]
    return max(close, key=lambda text: (len(text), text))


def _dimensions(heard: Sequence[Given]) -> dict[str, float]:
    names = sorted({name for one in heard for name in one.dimensions})
    return {name: float(median([one.dimensions[name] for one in heard if name in one.dimensions])) for name in names}
