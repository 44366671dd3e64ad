"""Benchmarks over HTTP."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, File, Form, Router, Schema, Status
from ninja.errors import HttpError
from ninja.files import UploadedFile
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations.models import Project
from annotations.sources.reading import AUTO
from evaluation.abstention.measure import Share, table
from evaluation.benchmarks import selectors
from evaluation.benchmarks.formats import FORMATS
from evaluation.benchmarks.making import Made, benchmark_atlas, benchmark_from_project, benchmark_import, upload_benchmark
from evaluation.judging import JUDGES
from evaluation.models import Benchmark
from evaluation.services import EvaluationRefused, benchmark_register

router = Router(tags=["benchmarks"])


class BenchmarkOut(Schema):
    id: int
    name: str
    version: str
    title: str
    hash: str
    n: int
    facts: dict[str, Any] = Field(description="Questions labelled known and unknown, judges, and slices, each with counts.")
    created_at: datetime


class MadeOut(Schema):
    benchmark: BenchmarkOut
    left_out: dict[str, int] = Field(description="Records that gave no question, by reason.")
    known: bool = Field(description="Whether the same questions were a benchmark already.")


class BenchmarkIn(Schema):
    folder: str = Field(description="A folder on the server that holds benchmark.jsonl.")


class BenchmarkProjectIn(Schema):
    project: str = Field(description="Its short name.")
    min_scores: int = Field(1, ge=1, description="People who must have scored an answer for it to count.")
    name: str = Field("", max_length=100)


class AtlasIn(Schema):
    seed: int = Field(0, ge=0, lt=2**31)


class FormatOut(Schema):
    name: str
    title: str
    about: str
    origin: str
    looks: str


class ShareOut(Schema):
    value: float | None
    low: float | None
    high: float | None
    n: int

    @staticmethod
    def of(share: Share) -> "ShareOut":
        low, high = (share.interval.low, share.interval.high) if share.interval else (None, None)
        return ShareOut(value=share.value, low=low, high=high, n=share.n)


class StanceOut(Schema):
    stance: str
    precision: ShareOut
    recall: ShareOut


class JudgeOut(Schema):
    name: str
    title: str
    about: str


class RecognisedOut(Schema):
    language: str
    n: int = Field(description="Answers labelled by hand, which no phrase was chosen by.")
    stances: list[StanceOut]


class JudgesOut(Schema):
    judges: list[JudgeOut]
    recognised: list[RecognisedOut] = Field(description="How well it is recognised that an answer abstains, hedges or answers.")


class QuestionsOut(Schema):
    total: int
    page: int = Field(alias="number")
    pages: int
    questions: list[dict[str, Any]]

    @staticmethod
    def resolve_questions(found: selectors.QuestionPage) -> list[dict[str, Any]]:
        return [one.question.model_dump(mode="json", exclude_defaults=True) for one in found.shown]


@router.get("/benchmarks", response=list[BenchmarkOut], auth=ApiAuth("member"))
@paginate
def benchmark_list(request: HttpRequest) -> QuerySet[Benchmark]:
    return selectors.benchmarks()


@router.get("/benchmarks/formats", response=list[FormatOut], auth=ApiAuth("member"))
def benchmark_formats(request: HttpRequest) -> list[Any]:
    """The formats that a benchmark's file may have."""
    return list(FORMATS.values())


@router.get("/benchmarks/judges", response=JudgesOut, auth=ApiAuth("member"))
def benchmark_judges(request: HttpRequest) -> JudgesOut:
    """How answers are judged, and how well declining is recognised."""
    return JudgesOut(
        judges=[JudgeOut(name=name, title=one.title, about=one.about) for name, one in JUDGES.items()],
        recognised=[
            RecognisedOut(
                language=language,
                n=measured.n,
                stances=[StanceOut(stance=s, precision=ShareOut.of(p), recall=ShareOut.of(r)) for s, p, r in table(measured)],
            )
            for language, measured in selectors.abstention_measured().items()
        ],
    )


@router.post("/benchmarks", response={201: BenchmarkOut}, auth=ApiAuth("admin"))
def benchmark_create(request: HttpRequest, wanted: BenchmarkIn) -> Status[Benchmark]:
    """Make a benchmark folder on the server known."""
    try:
        return Status(201, benchmark_register(folder=Path(wanted.folder), actor=request.auth))  # type: ignore[attr-defined]
    except EvaluationRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/benchmarks/import", response={201: MadeOut}, auth=ApiAuth("admin"))
def benchmark_import_file(
    request: HttpRequest,
    file: File[UploadedFile],
    source_format: Form[str] = AUTO,
    name: Form[str] = "",
    version: Form[str] = "",
) -> Status[Made]:
    """Make a published benchmark's file a benchmark; `GET /benchmarks/formats` says which formats are read."""
    called = Path(file.name or "upload").name.replace("\x00", "")

    def make(path: Path) -> Made:
        actor = request.auth  # type: ignore[attr-defined]
        return benchmark_import(path=path, actor=actor, source_format=source_format, name=name, version=version, called=called)

    try:
        return Status(201, upload_benchmark(file.chunks(), called, make))
    except EvaluationRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/benchmarks/project", response={201: MadeOut}, auth=ApiAuth("admin"))
def benchmark_of_project(request: HttpRequest, wanted: BenchmarkProjectIn) -> Status[Made]:
    """Make a project's scored items a benchmark."""
    project = get_object_or_404(Project, slug=wanted.project)
    how: dict[str, Any] = {"min_scores": wanted.min_scores, "name": wanted.name}
    try:
        return Status(201, benchmark_from_project(project=project, actor=request.auth, **how))  # type: ignore[attr-defined]
    except EvaluationRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/benchmarks/atlas", response={201: MadeOut}, auth=ApiAuth("admin"))
def benchmark_of_atlas(request: HttpRequest, wanted: AtlasIn) -> Status[Made]:
    """Make the closed world of a seed a benchmark, with all its splits."""
    return Status(201, benchmark_atlas(seed=wanted.seed, actor=request.auth))  # type: ignore[attr-defined]


# Last, for their addresses would hide the others.
@router.get("/benchmarks/{hash}", response=BenchmarkOut, auth=ApiAuth("member"))
def benchmark_detail(request: HttpRequest, hash: str) -> Benchmark:
    return get_object_or_404(Benchmark, hash=hash)


@router.get("/benchmarks/{hash}/questions", response=QuestionsOut, auth=ApiAuth("member"))
def benchmark_questions(request: HttpRequest, hash: str, page: int = 1, q: str = "") -> selectors.QuestionPage:
    """Its questions, 20 a page; `q`: only those that hold this text."""
    return selectors.question_page(get_object_or_404(Benchmark, hash=hash), number=page, text=q)
