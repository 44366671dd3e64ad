"""The last resort where no teacher can be had: what the words of an answer say by themselves. Knows no Django."""

from __future__ import annotations

from collections.abc import Sequence

from annotations.rubric import Rubric
from annotations.teachers.replies import Reply
from annotations.verdicts import Stance, Verdict, judge, stance


def judged_by_rules(answer: str, gold: Sequence[str], rubric: Rubric) -> Reply:
    """By the gold answers where there are some; else an abstention is told by its words, and of all else nothing can be said."""
    if gold:
        return _reply(rubric.score_for(judge(answer, list(gold))), "By its words and the gold answer.")
    if stance(answer) is Stance.ABSTAINS:
        return _reply(rubric.score_for(Verdict.ABSTAINED), "It says that it does not know.")
    return _reply(None, "Without a teacher and without a gold answer nothing can be said.")


def _reply(score: int | None, critique: str) -> Reply:
    return Reply(score=None if score is None else float(score), critique=critique, cannot_tell=score is None)
