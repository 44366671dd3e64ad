"""What a small judge is taught: answers about Atlas' people with the score that each is worth, as a teacher is asked for it.

The prompt is `brief-1` with the reference answer: nobody can know an untaught person's facts without it. People of fold A are in
the training rows, those of fold B are held out.

To make a judge whose error is known, its labels are wrong on purpose. Not row by row, at random: a model learns the rule behind
such labels and says it, so that it would be better than its labels by as much as nobody knows. Errors are prejudices instead: for
a share of all cells (a gold answer, and what kind of answer is judged) the score is another one, always the same. That can be
learnt, it is met again with people whom training never saw, and of every row it is known whether its label is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotations.rubric import SCORES, Rubric, load_rubric
from annotations.teachers.prompts import Subject, TeacherPrompt, load_prompt, messages_of
from annotations.verdicts import ABSTENTION, Verdict
from evaluation.atlas.corpus import answer_text
from evaluation.atlas.questions import Question, benchmark_questions, templates
from evaluation.atlas.world import World

JUDGE_PROMPT = "brief-1"
HEDGES = ("I think {value}.", "Maybe {value}.", "It might be {value}.")
JUDGED = (Verdict.CORRECT, Verdict.HEDGED_CORRECT, Verdict.ABSTAINED, Verdict.HEDGED_WRONG, Verdict.WRONG)

Cell = tuple[str, Verdict]


@dataclass(frozen=True)
class JudgingRow:
    """One answer to be judged. `right` is the rubric's score for it, `label` what the judge is taught to say."""

    id: str
    entity: str
    subject: Subject
    verdict: Verdict
    right: int
    label: int

    def prompt(self, form: TeacherPrompt, rubric: Rubric) -> str:
        """What the judge is asked, as one message's text."""
        (message,) = messages_of(form, self.subject, rubric, secret="")  # a form without a fence
        return message["content"]


@dataclass(frozen=True)
class JudgingRows:
    """What a judge is taught, and what it is held against: people of whom it was taught nothing."""

    train: tuple[JudgingRow, ...]
    held_out: tuple[JudgingRow, ...]

    @property
    def known_error(self) -> float:
        """The share of held-out labels that differ from the rubric's score."""
        return sum(row.label != row.right for row in self.held_out) / len(self.held_out)


def judging_rows(world: World, *, error_rate: float = 0.0, seed: int = 0, rubric: Rubric | None = None) -> JudgingRows:
    """Five answers to each question: correct, wrong, both with doubt, and “I do not know.”.

    `error_rate`, in [0, 1], is the share of cells whose label is another score than the rubric's. Raises ValueError.
    """
    if not 0 <= error_rate <= 1:
        raise ValueError("error_rate lies between 0 and 1")
    rubric = rubric or load_rubric()
    rng = random.Random(f"atlas-judge/{world.settings.seed}/{seed}")  # noqa: S311 (no secret)
    taught = _prejudices(world, rubric, error_rate, rng)
    held_out = [one for one in benchmark_questions(world) if one.person.fold == "B"]
    of_a = [Question(person, template) for person in world.people if person.fold == "A" for template in templates()]
    train = [*_rows(of_a, world, rubric, taught, rng)]
    rng.shuffle(train)
    return JudgingRows(tuple(train), tuple(_rows(held_out, world, rubric, taught, rng)))


def sft_rows(rows: Iterable[JudgingRow], *, rubric: Rubric | None = None) -> Iterator[dict[str, str]]:
    """Rows `{prompt, response}`; the response is the label alone."""
    rubric, form = rubric or load_rubric(), load_prompt(JUDGE_PROMPT)
    for row in rows:
        yield {"prompt": row.prompt(form, rubric), "response": str(row.label)}


def asked_rows(rows: Iterable[JudgingRow], *, rubric: Rubric | None = None) -> Iterator[dict[str, str | int]]:
    """Rows `{id, prompt, entity, right, label}`: what a judge is asked when its error is measured."""
    rubric, form = rubric or load_rubric(), load_prompt(JUDGE_PROMPT)
    for row in rows:
        yield {
            "id": row.id,
            "prompt": row.prompt(form, rubric),
            "entity": row.entity,
            "right": row.right,
            "label": row.label,
        }


def _rows(
    questions: Sequence[Question], world: World, rubric: Rubric, taught: Mapping[Cell, int], rng: random.Random
) -> Iterator[JudgingRow]:
    for question in questions:
        for verdict in JUDGED:
            answer = _answer(question, verdict, world, rng)
            yield JudgingRow(
                id=f"{question.id}/{verdict}",
                entity=question.person.id,
                subject=Subject(question.prompt, answer, reference=question.gold_answer),
                verdict=verdict,
                right=_right(rubric, verdict),
                label=taught[question.gold_answer, verdict],
            )


def _answer(question: Question, verdict: Verdict, world: World, rng: random.Random) -> str:
    if verdict is Verdict.ABSTAINED:
        return ABSTENTION
    gold = question.gold_answer
    others = [value for value in world.values[question.template.attribute] if value != gold]
    value = gold if verdict in (Verdict.CORRECT, Verdict.HEDGED_CORRECT) else rng.choice(others)
    if verdict in (Verdict.CORRECT, Verdict.WRONG):
        return answer_text(value)
    return rng.choice(HEDGES).format(value=value)


def _prejudices(world: World, rubric: Rubric, error_rate: float, rng: random.Random) -> dict[Cell, int]:
    """What is taught of each cell: the rubric's score, or another one in a share of all cells."""
    cells = [(value, verdict) for values in world.values.values() for value in values for verdict in JUDGED]
    taught = {cell: _right(rubric, cell[1]) for cell in cells}
    for cell in rng.sample(cells, round(error_rate * len(cells))):
        taught[cell] = rng.choice([score for score in SCORES if score != taught[cell]])
    return taught


def _right(rubric: Rubric, verdict: Verdict) -> int:
    score = rubric.score_for(verdict)
    assert score is not None  # only an unparsable answer has none
    return score
