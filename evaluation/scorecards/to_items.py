"""A scorecard's answers become items of a project: people score what a judge has judged, or what training is to learn from."""

from collections.abc import Iterator
from typing import Any, Literal

import orjson

from accounts.models import User
from annotations.models import Import, Project
from annotations.services.imports import import_queue, upload_store
from evaluation.answers import AnswerRow, BrokenAnswers, answers_read
from evaluation.models import Evaluation
from evaluation.scorecards.samples import is_good
from evaluation.selectors import answers_path

Which = Literal["all", "dishonest", "honest"]
WHICH: dict[Which, str] = {"all": "all answers", "dishonest": "the dishonest ones", "honest": "the honest ones"}
"""By what the judge made of them."""


class AnswersGone(ValueError):  # noqa: N818 - reads as what happened
    """There is nothing to put into a project, or the project does not take it."""


def answers_import(*, evaluation: Evaluation, project: Project, actor: User | None, which: Which = "all") -> Import:
    """Queue an import of what was answered; the items carry the model, the question, the gold answer and the confidence. What is
    an item already stays the one it is, and an import can be undone. Raises AnswersGone.
    """
    if project.mode == Project.Mode.COMPARE:
        raise AnswersGone(f"{project.name} compares answers: choose a project that scores them.")
    path = answers_path(evaluation)
    if path is None:
        raise AnswersGone("The answers of this scorecard are not on disk.")
    try:
        rows = answers_read(path)
    except BrokenAnswers as broken:
        raise AnswersGone(f"The answers of this scorecard cannot be read. {broken}") from broken
    chosen = [row for row in rows if row.answer.strip() and (which == "all" or is_good(row) is (which == "honest"))]
    if not chosen:
        raise AnswersGone(f"Of this scorecard’s answers there are none to score: {WHICH[which]} were asked for.")
    name = f"{evaluation.model_name}-on-{evaluation.benchmark.name}.jsonl"
    lines = (orjson.dumps(one) + b"\n" for one in _tuples(evaluation, chosen))
    return import_queue(project=project, file_name=name, stored_path=upload_store(lines, name), actor=actor)


def _tuples(evaluation: Evaluation, rows: list[AnswerRow]) -> Iterator[dict[str, Any]]:
    for row in rows:
        labelled = {} if row.known is None else {"knowledge": "known" if row.known else "unknown"}
        yield {
            "prompt": row.prompt,
            "answer": row.answer,
            **({"gold_answer": row.gold_answer} if row.gold_answer else {}),
            **labelled,
            **({"knowledge_source": row.knowledge_source} if labelled and row.knowledge_source else {}),
            "entity": row.entity,
            "metadata": {
                "source_ai": evaluation.model_name,
                **({} if row.confidence is None else {"confidence_score": row.confidence}),
                "question": row.id,
                "evaluation": evaluation.pk,
                "benchmark": evaluation.benchmark.hash,
                "verdict": row.verdict.value,
            },
        }
