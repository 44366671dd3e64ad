"""The child process that reckons a verdict: `python -m evaluation.promotion.judge FOLDER`. Knows no Django.

Reads `request.json` in the folder, and writes `verdict.json` into it; where training rows were looked through, `questions.jsonl`
too: each question that stands in them, of which the verdict itself has the first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from annotations.verdicts import Verdict
from evaluation.answers import answers_read, headline_slices, slice_labels, slice_table
from evaluation.benchmarks.folder import benchmark_read
from evaluation.metrics import Answered
from evaluation.promotion.contamination import Asked, Overlap, Seen, Sought
from evaluation.promotion.rules import Rules
from evaluation.promotion.verdict import Measured, VerdictDocument, verdict_of
from evaluation.question import Question
from evaluation.scorecards.document import Scorecard
from jobs import child
from training.exceptions import BadData

REQUEST, VERDICT, QUESTIONS = "request.json", "verdict.json", "questions.jsonl"
TRAIN = "train.jsonl"


class MeasuredAt(BaseModel):
    """A model by name, with the scorecard and the answers of one evaluation of it."""

    name: str
    scorecard: dict[str, Any]
    answers: str


class TrainedOn(BaseModel):
    name: str
    folder: str


class Reference(BaseModel):
    """The model that the challenger is held against, and the datasets that led to it."""

    name: str
    datasets: list[TrainedOn]


class JudgeRequest(BaseModel):
    """What a verdict is reckoned from. `unseen` are models on the way to the challenger whose training rows are not known;
    `promoted_by` the settings of the scorecard that made a watched model champion.
    """

    model_config = ConfigDict(extra="forbid")

    rules: Rules
    challenger: MeasuredAt
    champion: MeasuredAt | None = None
    benchmark: str
    datasets: list[TrainedOn]
    unseen: list[str]
    reference: Reference | None = None
    watch: bool = False
    promoted_by: dict[str, Any] | None = None


def judge(request: JudgeRequest) -> VerdictDocument:
    """Raises BadData where the benchmark cannot be read, OSError where answers or rows are gone, ValueError where two scorecards
    do not go together.
    """
    challenger = _measured(request.challenger)
    champion = _measured(request.champion) if request.champion else None
    found = _overlap(request) if request.rules.contamination and request.datasets else None
    return verdict_of(request.rules, challenger, champion, overlap=found, watch=request.watch, promoted_by=request.promoted_by)


def _measured(told: MeasuredAt) -> Measured:
    return Measured(told.name, Scorecard.model_validate(told.scorecard), answers_read(Path(told.answers)))


def _overlap(request: JudgeRequest) -> Overlap:
    rule = request.rules.contamination
    assert rule is not None  # the caller has looked
    questions = benchmark_read(Path(request.benchmark)).questions
    asked = (Asked(one.id, _text(one), one.gold_answers) for one in _inside(questions, rule.slice))
    sought = Sought(asked, near=rule.near)
    reference = request.reference if request.reference is not None and request.reference.datasets else None
    both = {one.folder: one for one in (*request.datasets, *(reference.datasets if reference else ()))}
    seen = {folder: sought.among(_rows(one)) for folder, one in both.items()}  # of what led to both models once
    before = None if reference is None else _joined(seen[one.folder] for one in reference.datasets)
    found = sought.overlap(_joined(seen[one.folder] for one in request.datasets), before=before)
    return found.model_copy(update={"unseen": request.unseen, "reference": reference.name if reference else ""})


def _joined(parts: Iterable[Seen]) -> Seen:
    return reduce(Seen.joined, parts, Seen())


def _inside(questions: list[Question], wanted: str) -> list[Question]:
    """The questions of a slice, by the names that scorecards have; of the headline's where none is named."""
    # What slices there are does not depend on what was answered.
    rows = [Answered(one.id, one.id, Verdict.UNPARSABLE, None, None, slice_labels(one.slice)) for one in questions]
    table = slice_table(rows)
    labels = table.get(wanted or headline_slices(table)[0])
    if labels is None:
        raise ValueError(f"no question is in the slice “{wanted}”, which the rule on training rows names")
    return [
        one
        for one, row in zip(questions, rows, strict=True)
        if all(row.slices.get(name) == value for name, value in labels.items())
    ]


def _text(question: Question) -> str:
    """What is asked, as rows hold it: without who says it."""
    prompt = question.prompt
    return prompt if isinstance(prompt, str) else "\n".join(str(one["content"]) for one in prompt)


def _rows(dataset: TrainedOn) -> Iterator[tuple[str, dict[str, Any]]]:
    with (Path(dataset.folder) / TRAIN).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{dataset.name}, row {number}", orjson.loads(line)


def main(folder: Path) -> int:
    child.watch_parent()
    try:
        request = JudgeRequest.model_validate_json((folder / REQUEST).read_bytes())
        document = judge(request)
    except BadData as error:
        child.report_failure(reason=error.reason, hint=error.hint, folder=folder)
        return 1
    except (OSError, ValueError, ValidationError) as error:
        child.report_failure(reason=f"No verdict can be given: {error}", folder=folder)
        return 1
    if document.overlap is not None:
        lines = (orjson.dumps(one.model_dump(), option=orjson.OPT_APPEND_NEWLINE) for one in document.overlap.matches)
        (folder / QUESTIONS).write_bytes(b"".join(lines))
        document = document.model_copy(update={"overlap": document.overlap.shortened()})
    child.write_json(folder / VERDICT, document.model_dump(mode="json"))
    child.report_result({"passed": document.passed, "text": document.text}, folder=folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
