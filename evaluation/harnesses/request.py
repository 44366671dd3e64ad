"""What a harness' driver is told and what it tells; both sides import this, each in its own environment."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from annotations.verdicts import Verdict
from evaluation.atlas.grammar import Grammar
from evaluation.benchmarks.folder import BenchmarkFolder, Question, answer_row, benchmark_read
from evaluation.metrics import CORRECT, RUBRIC_SCORES, WRONG

REQUEST: Final = "request.json"
ANSWERS: Final = "judged.jsonl"
SAMPLES: Final = "samples.jsonl"
REPORT: Final = "report.json"
MEASURES: Final = ("correct", "wrong", "abstained", "rubric")
"""What every harness adds up itself: shares of the answers, and the mean rubric score of those that can be parsed."""


class Request(BaseModel):
    """Which questions of which benchmark to ask of which service; with `tasks`, the harness' own tasks instead. `load_only`:
    nobody is asked; it is only seen whether the tasks and their data are there.

    The service's key is in `OPENAI_API_KEY`. `tokenizer` is a folder, where the service's tokens are to be had.
    """

    benchmark: Path
    questions: list[str] = []
    tasks: list[str] = []
    limit: int | None = None
    load_only: bool = False
    base_url: str
    model: str
    max_new_tokens: int
    at_once: int
    timeout_s: float = 600.0
    tokenizer: Path | None = None
    longest: int | None = None


class Line(BaseModel):
    """One answer as the harness judged it. `logprob` is the natural logarithm of its probability."""

    id: str
    answer: str
    verdict: Verdict
    logprob: float | None = None
    tokens: int | None = None


class TaskSample(BaseModel):
    """One question of a harness' own task. `options`: how many answers it chose among, 0 where it wrote one of its own."""

    task: str
    id: str
    prompt: str
    gold: str
    options: int
    answer: str
    right: bool


class Report(BaseModel):
    """What the harness itself makes of it all. `metrics` are MEASURES, None where it says none; `tasks` by task and metric."""

    status: str
    version: str
    n: int
    metrics: dict[str, float | None] = {}
    tasks: dict[str, dict[str, float | None]] = {}
    error: str = ""


class Judging:
    """The benchmark as a driver needs it: its questions by id, and the one judge that everything here uses."""

    def __init__(self, folder: Path, request: Request) -> None:
        self.folder, self.request = folder, request
        self.benchmark: BenchmarkFolder = benchmark_read(request.benchmark)
        wanted = set(request.questions)
        self.questions = {one.id: one for one in self.benchmark.questions if one.id in wanted}
        self._grammar = Grammar(dict(self.benchmark.values)) if self.benchmark.values else None

    def line(self, question: Question, answer: str, *, logprob: float | None = None, tokens: int | None = None) -> Line:
        """Judge an answer and write it down."""
        text = answer.strip()
        verdict = answer_row(question, text, None, self._grammar).verdict
        line = Line(id=question.id, answer=text, verdict=verdict, logprob=logprob, tokens=tokens)
        with (self.folder / ANSWERS).open("ab") as file:
            file.write(line.model_dump_json().encode() + b"\n")
        return line


def measures_of(line: Line) -> dict[str, float]:
    """One answer's part in each measure; NaN: none, which is not 0."""
    return {
        "correct": float(line.verdict in CORRECT),
        "wrong": float(line.verdict in WRONG),
        "abstained": float(line.verdict is Verdict.ABSTAINED),
        "rubric": float(RUBRIC_SCORES.get(line.verdict, math.nan)),
    }


def mean(values: Sequence[float]) -> float:
    """The mean of what there is; NaN where there is nothing."""
    there = [value for value in values if not math.isnan(value)]
    return math.fsum(there) / len(there) if there else math.nan


def finite(value: Any) -> float | None:
    """A figure as JSON can hold it."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def driver_main(arguments: list[str], drive: Any) -> int:
    """Do what the folder that is named asks for; `report.json` says how it ended."""
    folder = Path(arguments[0])
    request = Request.model_validate_json((folder / REQUEST).read_bytes())
    report: Report = drive(Judging(folder, request))
    aside = folder / f".{REPORT}.{os.getpid()}"
    aside.write_text(json.dumps(report.model_dump(mode="json"), allow_nan=False), encoding="utf-8")
    aside.replace(folder / REPORT)
    return 0
