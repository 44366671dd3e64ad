"""A benchmark on disk: a folder with `benchmark.jsonl` and, where it has one, `manifest.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annotations.verdicts import Verdict, judge
from evaluation.answers import AnswerRow, slice_labels
from evaluation.atlas.grammar import Grammar
from training.exceptions import BadData

QUESTIONS = "benchmark.jsonl"
MANIFEST = "manifest.json"


class Question(BaseModel):
    """One line of `benchmark.jsonl`; unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    id: str
    prompt: str | list[dict[str, Any]]
    gold_answer: str | list[str] | None = None
    knowledge: Literal["known", "unknown"] | None = None
    entity: str | None = None
    """What the question is about; questions about one entity stand or fall together."""
    slice: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class BenchmarkFolder:
    """A benchmark as read. `hash` is the SHA-256 of its questions; `values` is the answer grammar, where it has one."""

    path: Path
    name: str
    version: str
    hash: str
    questions: list[Question]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
    return BenchmarkFolder(
        path=folder,
        name=str(manifest.get("name", folder.name)),
        version=str(manifest.get("version", "1")),
        hash=hashlib.sha256(content).hexdigest(),
        questions=_questions(path, content),
        values={name: tuple(values) for name, values in manifest.get("values", {}).items()},
    )


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
    prompt = question.prompt
    return AnswerRow(
        id=question.id,
        entity=question.entity or question.id,
        prompt=prompt if isinstance(prompt, str) else "\n".join(f"{m['role']}: {m['content']}" for m in prompt),
        answer=answer,
        gold_answer=question.gold_answer if not isinstance(question.gold_answer, list) else " | ".join(question.gold_answer),
        verdict=judge(answer, question.gold_answer) if allowed else Verdict.UNPARSABLE,
        known=None if question.knowledge is None else question.knowledge == "known",
        confidence=confidence,
        slices=slice_labels(question.slice),
    )
