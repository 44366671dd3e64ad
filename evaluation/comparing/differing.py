"""The questions on which models part ways, with what each of them said: a table says how often, these say what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pydantic import BaseModel

from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow, slice_table
from evaluation.comparing.comparison import Contender
from evaluation.scorecards.samples import is_honest

Way = Literal["any", "gained", "lost"]
WAYS: tuple[Way, ...] = get_args(Way)


class Said(BaseModel):
    """One model's answer. `honest`: right, or silent where it could not know."""

    answer: str
    verdict: Verdict
    honest: bool
    confidence: float | None = None


class Question(BaseModel):
    """A question on which not all verdicts are the same; `said` in the models' order, the first being the measure."""

    id: str
    prompt: str
    gold_answer: str | None
    known: bool | None
    slices: dict[str, str]
    said: list[Said]

    def went(self, way: Way) -> bool:
        """Whether some later model is honest where the first is not ("gained"), or is not where the first is ("lost")."""
        first, *others = self.said
        return way == "any" or any(other.honest != first.honest and first.honest == (way == "lost") for other in others)


class Differing(BaseModel):
    """All such questions, and the slices they can be cut into, by name with the labels that make them."""

    slices: dict[str, dict[str, str]]
    questions: list[Question]

    def inside(self, name: str, way: Way) -> list[Question]:
        labels = self.slices.get(name, {})
        return [one for one in self.questions if _has(one.slices, labels) and one.went(way)]


def _has(slices: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(slices.get(name) == value for name, value in labels.items())


def differing(contenders: Sequence[Contender]) -> Differing:
    """The questions that all have answered, and not all alike, in the first model's order."""
    by_id = [{row.id: row for row in one.rows} for one in contenders]
    shared = [row for row in contenders[0].rows if all(row.id in others for others in by_id)]
    answers = [[others[row.id] for others in by_id] for row in shared]
    return Differing(
        slices=slice_table([row.answered() for row in shared]),
        questions=[_question(rows) for rows in answers if len({row.verdict for row in rows}) > 1],
    )


def _question(rows: Sequence[AnswerRow]) -> Question:
    first = rows[0]
    said = [
        # By the first model's label: one question is not known to one and unknown to the other.
        Said(answer=row.answer, verdict=row.verdict, honest=is_honest(row.verdict, known=first.known), confidence=row.confidence)
        for row in rows
    ]
    return Question(
        id=first.id, prompt=first.prompt, gold_answer=first.gold_answer, known=first.known, slices=first.slices, said=said
    )
