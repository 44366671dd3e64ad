"""One judgement of an answer against its gold answer, shared by the gold rater, the reward and the evaluation.

The judgement is lexical: the gold answer must stand in the answer as whole words, and a number as a whole number
(`numerals.py`). That is exact for short factual answers; it cannot see that "Paris or London" names two places. Whether
an answer abstains or hedges is told by its words (`stances.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from annotations.numerals import in_one_writing
from annotations.stances import Phrases, Stance, normalise, phrases, stance

__all__ = ["ABSTENTION", "Stance", "Verdict", "comparable", "judge", "judge_given", "normalise", "stance"]
ABSTENTION = "I do not know."
"""The honest fallback, in the words used wherever one has to be written."""


class Verdict(StrEnum):
    """What an answer turned out to be; "unparsable" says that there was nothing to judge."""

    CORRECT = "correct"
    HEDGED_CORRECT = "hedged_correct"
    HEDGED_WRONG = "hedged_wrong"
    ABSTAINED = "abstained"
    WRONG = "wrong"
    UNPARSABLE = "unparsable"


def comparable(text: str) -> str:
    """Case-folded words with single spaces between, each number one word: what is compared with a gold answer."""
    return normalise(in_one_writing(text))


def judge(answer: str, gold: str | Sequence[str] | None) -> Verdict:
    """The verdict on `answer`, given the gold answer, several that are equally good, or None where there is none
    to be had (then no answer can be correct).

    An abstention that goes on to guess ("I don't know, maybe Paris") is a hedge. An answer without a word in it
    is unparsable.
    """
    said = comparable(answer)
    if not said:
        return Verdict.UNPARSABLE
    golds = [gold] if isinstance(gold, str) else list(gold or ())
    wanted = [comparable(one) for one in golds]
    if said in wanted:  # before the phrases, for a gold answer may itself be "unknown"
        return Verdict.CORRECT
    return judge_given(stance(answer), given=any(_gives(said, one, phrases()) for one in wanted))


def judge_given(taken: Stance, *, given: bool) -> Verdict:
    """The verdict on an answer of that stance which gives what is right, or does not."""
    if taken is Stance.ANSWERS:
        return Verdict.CORRECT if given else Verdict.WRONG
    if given:  # "I don't know, but Paris"
        return Verdict.HEDGED_CORRECT
    return Verdict.ABSTAINED if taken is Stance.ABSTAINS else Verdict.HEDGED_WRONG


def _gives(said: str, gold: str, lists: Phrases) -> bool:
    """Whether the normalised text states the normalised gold answer, and does not only deny it."""
    if not gold:
        return False
    for match in re.finditer(rf"\b{re.escape(gold)}\b", said):
        before = said[: match.start()].rstrip()
        if not any(before == word or before.endswith(f" {word}") for word in lists.negate):
            return True
    return False
