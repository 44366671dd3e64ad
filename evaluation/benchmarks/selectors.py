"""What pages, API and commands read about benchmarks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from django.db.models import Count, Q, QuerySet

from evaluation.abstention.measure import PATHS, Measured, measure, of_split
from evaluation.benchmarks.folder import MANIFEST, QUESTIONS, prompt_text
from evaluation.judging import JUDGES, Judge
from evaluation.models import Benchmark, Evaluation
from evaluation.question import Question

PAGE_SIZE = 20
SLICES_SHOWN = 12


def benchmarks() -> QuerySet[Benchmark]:
    """Newest first, each with how many scorecards there are of it (`scorecards`)."""
    done = Count("evaluations", filter=Q(evaluations__scorecard__isnull=False))
    return Benchmark.objects.select_related("project").annotate(scorecards=done).order_by("-pk")


def scorecards_on(benchmark: Benchmark) -> QuerySet[Evaluation]:
    return Evaluation.objects.light().done().filter(benchmark=benchmark)


def questions_path(benchmark: Benchmark) -> Path | None:
    """Its questions on disk, while they are there."""
    path = Path(benchmark.folder) / QUESTIONS
    return path if path.is_file() else None


def manifest_of(benchmark: Benchmark) -> dict[str, Any]:
    """What its folder says of where the questions come from; empty where it says nothing that can be read."""
    try:
        found = orjson.loads((Path(benchmark.folder) / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def judges_of(benchmark: Benchmark) -> list[tuple[Judge, int]]:
    """How its answers are judged, and how many questions are judged so."""
    counts: dict[str, int] = benchmark.facts.get("judges", {})
    return [(judge, counts[name]) for name, judge in JUDGES.items() if name in counts]


@cache
def abstention_measured() -> dict[str, Measured]:
    """How well abstention is recognised, by language, on the answers that its phrases were not improved by."""
    return {language: measure(of_split("held-out", language)) for language in PATHS}


@dataclass(frozen=True)
class Shown:
    """A question as pages show it."""

    id: str
    prompt: str
    right: list[str]
    wrong: list[str]
    question: Question

    @classmethod
    def of(cls, question: Question) -> "Shown":
        # Of a choice the prompt has the texts already.
        return cls(question.id, prompt_text(question), question.gold_answers, question.false_answers, question)


@dataclass(frozen=True)
class QuestionPage:
    """Some of a benchmark's questions; `total` is how many there are that were asked for."""

    shown: list[Shown]
    number: int
    pages: int
    total: int


def question_page(benchmark: Benchmark, *, number: int = 1, text: str = "") -> QuestionPage:
    """A page of the questions whose line holds `text`. Only that page's are parsed: a benchmark may have many thousands."""
    path = questions_path(benchmark)
    lines = [] if path is None else list(_lines(path, text))
    pages = max(1, -(-len(lines) // PAGE_SIZE))
    number = min(max(number, 1), pages)
    wanted = lines[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return QuestionPage([Shown.of(Question.model_validate(orjson.loads(one))) for one in wanted], number, pages, len(lines))


def _lines(path: Path, text: str) -> Iterator[bytes]:
    wanted = text.strip().casefold()
    with path.open("rb") as file:
        for line in file:
            if line.strip() and (not wanted or wanted in _readable(line)):
                yield line


def _readable(line: bytes) -> str:
    """The line's text, with what JSON escapes written out."""
    said = line.decode(errors="replace")
    return (orjson.dumps(orjson.loads(line)).decode() if "\\u" in said else said).casefold()


def slices_shown(facts: dict[str, Any]) -> Iterable[tuple[str, dict[str, int], int]]:
    """Each dimension that the questions can be sliced by, its largest parts, and how many parts are not shown."""
    for name, counts in facts.get("slices", {}).items():
        largest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        yield name, dict(largest[:SLICES_SHOWN]), max(0, len(largest) - SLICES_SHOWN)
