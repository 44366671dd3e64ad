"""A model's answers to known questions, turned into items and scored by their gold answers."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from accounts.models import User
from annotations.models import Project
from annotations.services import gold_score, item_import
from jobs.child import report_progress

TUPLES = "tuples.jsonl"


@dataclass(frozen=True)
class Collected:
    """What came of it: items that are new, answers that were items already, and new scores."""

    answers: int
    items_added: int
    items_known: int
    scores_added: int
    refused: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def answers_collect(
    *, project: Project, questions: Path, answers: Path, source: str, folder: Path, actor: User | None
) -> Collected:
    """Make every answer in `answers` an item of the project, with its question's gold answer, and score them by it.

    `questions` holds JSON lines with `item_id`, `prompt`, `gold_answer`, `knowledge` and `entity`; `answers` holds lines
    `{id, sample, answer, confidence}`. The tuples in between are left in `folder`. Doing it twice adds nothing.
    """
    tuples = folder / TUPLES
    aside = tuples.with_suffix(".part")
    with aside.open("wb") as file:
        for one in tuples_of(questions=questions, answers=answers, source=source):
            file.write(orjson.dumps(one) + b"\n")
    os.replace(aside, tuples)  # noqa: PTH105 - one step, also over an earlier attempt's file
    report = item_import(project=project, path=tuples, actor=actor, tell=_tell(folder))
    scored = gold_score(project=project, actor=actor)
    return Collected(
        answers=report.lines,
        items_added=report.items_added,
        items_known=report.items_known,
        scores_added=scored,
        refused=report.refused,
    )


def tuples_of(*, questions: Path, answers: Path, source: str) -> Iterator[dict[str, Any]]:
    """RLWHF tuples, not scored yet, of the answers to the questions."""
    with questions.open("rb") as lines:
        asked = {row["item_id"]: row for row in map(orjson.loads, lines)}
    with answers.open("rb") as lines:
        for given in map(orjson.loads, lines):
            question = asked[given["id"]]
            yield {
                "prompt": question["prompt"],
                "answer": given["answer"],
                "gold_answer": question["gold_answer"],
                "knowledge": question["knowledge"],
                "knowledge_source": "gold",
                "entity": question["entity"],
                "metadata": {
                    "source_ai": source,
                    "confidence_score": given["confidence"],
                    "question": question["item_id"],
                    "sample": given["sample"],
                },
            }


def _tell(folder: Path) -> Any:
    def tell(done: int, total: int) -> None:
        report_progress(done=done, total=total, note="reading the answers", folder=folder)

    return tell
