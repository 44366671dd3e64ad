"""What the portable reward sees of an answer: numbers that a person can check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log1p
from typing import Final

from annotations.confidence import stated_confidence
from annotations.stances import doubts
from annotations.verdicts import Verdict, judge, normalise
from training.rewards.format import ends_properly
from training.rewards.gold import word_f1
from training.rewards.principles import distinct_runs, overclaims

FEATURES_VERSION: Final = 3
"""Raised with every change of a feature's meaning: weights that were learned for others are worth nothing."""

COUNTED_AT_MOST = 3


@dataclass(frozen=True)
class Seen:
    """An answer with what is known of its question. `knowledge` is "known", "unknown" or None."""

    prompt: str
    answer: str
    golds: Sequence[str] = ()
    knowledge: str | None = None

    @cached_property
    def said(self) -> str:
        return normalise(self.answer)

    @cached_property
    def words(self) -> list[str]:
        return self.said.split()

    @cached_property
    def confidence(self) -> float | None:
        return stated_confidence(self.answer)

    @cached_property
    def abstains(self) -> bool:
        return self.verdict is Verdict.ABSTAINED if self.is_judged else judge(self.answer, None) is Verdict.ABSTAINED

    @property
    def is_judged(self) -> bool:
        """Whether it is known what a right answer would be, or that there is none."""
        return bool(self.golds) or self.knowledge == "unknown"

    @cached_property
    def verdict(self) -> Verdict:
        return judge(self.answer, self.golds)

    def is_a(self, *verdicts: Verdict) -> bool:
        return self.is_judged and self.verdict in verdicts


def _share(number: int, of: int) -> float:
    return number / of if of else 0.0


def _from_prompt(one: Seen) -> float:
    asked = set(normalise(one.prompt).split())
    return _share(sum(word in asked for word in one.words), len(one.words))


def _recall(one: Seen) -> float:
    said = set(one.words)
    wanted = [normalise(gold).split() for gold in one.golds]
    return max((_share(sum(word in said for word in words), len(words)) for words in wanted), default=0.0)


_RIGHT = (Verdict.CORRECT, Verdict.HEDGED_CORRECT)
_FALSE = (Verdict.WRONG, Verdict.HEDGED_WRONG)

# In words, and as a number. Those of the second half are 0 where nobody knows what is right.
FEATURES: Mapping[str, Callable[[Seen], float]] = {
    "length": lambda one: log1p(len(one.words)),  # ln(1 + words)
    "abstains": lambda one: float(one.abstains),
    "hedges": lambda one: float(min(doubts(one.answer), COUNTED_AT_MOST)),
    "overclaims": lambda one: float(min(overclaims(one.answer), COUNTED_AT_MOST)),
    "confidence_stated": lambda one: float(one.confidence is not None),
    "confidence": lambda one: 0.0 if one.confidence is None else one.confidence - 0.5,
    "repetition": lambda one: 1 - distinct_runs(one.answer),
    "ends": lambda one: float(ends_properly(one.answer)),
    "numbers": lambda one: _share(sum(any(map(str.isdigit, word)) for word in one.words), len(one.words)),
    "from_prompt": _from_prompt,
    "is_judged": lambda one: float(one.is_judged),
    "gold_recall": _recall,
    "gold_f1": lambda one: max((word_f1(one.answer, gold) for gold in one.golds), default=0.0),
    "correct": lambda one: float(one.is_a(Verdict.CORRECT)),
    "hedged_correct": lambda one: float(one.is_a(Verdict.HEDGED_CORRECT)),
    "hedged_wrong": lambda one: float(one.is_a(Verdict.HEDGED_WRONG)),
    "wrong": lambda one: float(one.is_a(Verdict.WRONG)),
    "confidence_when_right": lambda one: one.confidence if one.confidence is not None and one.is_a(*_RIGHT) else 0.0,
    "confidence_when_wrong": lambda one: one.confidence if one.confidence is not None and one.is_a(*_FALSE) else 0.0,
    "known": lambda one: float(one.knowledge == "known"),
    "unknown": lambda one: float(one.knowledge == "unknown"),
    "abstains_when_known": lambda one: float(one.abstains and one.knowledge == "known"),
    "abstains_when_unknown": lambda one: float(one.abstains and one.knowledge == "unknown"),
    "right_when_unknown": lambda one: float(one.knowledge == "unknown" and one.is_a(*_RIGHT)),
}


def features_of(one: Seen) -> dict[str, float]:
    """Every feature by its name."""
    return {name: feature(one) for name, feature in FEATURES.items()}
