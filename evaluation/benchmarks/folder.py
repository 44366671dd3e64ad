"""A benchmark on disk: a folder with `benchmark.jsonl` and, where it has one, `manifest.json`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from annotations.verdicts import Verdict
from evaluation.answers import MOST_PARTS, AnswerRow, slice_labels
from evaluation.atlas.grammar import Grammar
from evaluation.judging import Judged, judge_answer
from evaluation.question import Question
from training.exceptions import BadData

__all__ = ["BenchmarkFolder", "Question", "answer_row", "benchmark_read", "facts_of", "prompt_text"]
QUESTIONS = "benchmark.jsonl"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class BenchmarkFolder:
    """A benchmark as read. `hash` is the SHA-256 of its questions and of `values`, the answer grammar, where it has one: the same
    questions with another grammar are judged otherwise.
    """

    path: Path
    name: str
    version: str
    hash: str
    questions: list[Question]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def questions_path(self) -> Path:
        return self.path / QUESTIONS


def benchmark_read(folder: Path) -> BenchmarkFolder:
    """Read a benchmark; raises BadData where a file is missing, a line is none, or an id is given twice."""
    path = folder / QUESTIONS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadData(path, 1, "", f"cannot be read ({error.strerror})", "A benchmark folder holds benchmark.jsonl.") from error
    manifest = _manifest(folder)
    values = {name: tuple(values) for name, values in manifest.get("values", {}).items()}
    return BenchmarkFolder(
        path=folder,
        name=str(manifest.get("name", folder.name)),
        version=str(manifest.get("version", "1")),
        hash=hashlib.sha256(content + (orjson.dumps(values, option=orjson.OPT_SORT_KEYS) if values else b"")).hexdigest(),
        questions=_questions(path, content),
        values=values,
        manifest=manifest,
    )


def facts_of(questions: Sequence[Question]) -> dict[str, Any]:
    """What the questions are: how many are labelled known and unknown, how they are judged, and how they can be sliced."""
    labels = [slice_labels(one.slice) for one in questions]
    slices = {
        name: Counter(one[name] for one in labels if name in one) for name in dict.fromkeys(n for one in labels for n in one)
    }
    return {
        "known": sum(one.knowledge == "known" for one in questions),
        "unknown": sum(one.knowledge == "unknown" for one in questions),
        "entities": len({one.entity or one.id for one in questions}),
        "judges": dict(Counter(one.judge for one in questions)),
        "slices": {name: dict(sorted(counts.items())) for name, counts in slices.items() if len(counts) <= MOST_PARTS},
    }


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        manifest = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadData(path, 1, "", f"not JSON ({error})") from error
    if not isinstance(manifest, dict):
        raise BadData(path, 1, "", "not a JSON object")
    return manifest


def _questions(path: Path, content: bytes) -> list[Question]:
    questions: dict[str, Question] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        question = _question(path, number, line)
        if question.id in questions:
            raise BadData(path, number, "id", f"“{question.id}” was given before")
        questions[question.id] = question
    if not questions:
        raise BadData(path, 1, "", "the file has no questions")
    return list(questions.values())


def _question(path: Path, number: int, line: bytes) -> Question:
    try:
        return Question.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise BadData(path, number, "", f"not JSON ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BadData(path, number, ".".join(map(str, first["loc"])), first["msg"]) from error


def answer_row(question: Question, answer: str, confidence: float | None, grammar: Grammar | None) -> AnswerRow:
    """Judge one answer. With a grammar, text that it does not allow is unparsable, whatever it contains."""
    allowed = grammar is None or grammar.parse(answer) is not None
    judged = judge_answer(question, answer) if allowed else Judged(Verdict.UNPARSABLE)
    golds = [question.choices.get(one, one) for one in question.gold_answers]
    return AnswerRow(
        id=question.id,
        entity=question.entity or question.id,
        prompt=prompt_text(question),
        answer=answer,
        gold_answer=" | ".join(golds) or None,
        verdict=judged.verdict,
        judge=question.judge,
        options=len(question.choices),
        known=None if question.knowledge is None else question.knowledge == "known",
        confidence=confidence,
        slices=slice_labels(question.slice),
        **({} if judged.score is None else {"score": judged.score, "by_words": judged.by_words}),
    )


def prompt_text(question: Question) -> str:
    """The prompt as one text; of messages, who said what on a line each."""
    prompt = question.prompt
    return prompt if isinstance(prompt, str) else "\n".join(f"{one['role']}: {one['content']}" for one in prompt)
