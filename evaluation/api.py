"""Scorecards over HTTP."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from accounts.models import Endpoint
from annotations.models import Import, Project
from evaluation import selectors
from evaluation.answers import headline_slices
from evaluation.atlas_judge import JudgeSettings, judge_error_kept, judge_teach, judges
from evaluation.benchmarks.api import BenchmarkOut
from evaluation.comparing import service as comparing
from evaluation.comparing.differing import Way
from evaluation.loop import DemoLoopSettings, loop_start
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.to_items import AnswersGone, Which, answers_import
from evaluation.services import EvaluationRefused, evaluation_queue
from jobs.addresses import numbers_in
from jobs.models import Pipeline
from training.models import Artifact
from training.services import RunRefused

router = Router(tags=["evaluation"])


class EvaluationIn(Schema):
    model: str | None = Field(None, description="Name of the model to ask.")
    endpoint: str | None = Field(None, description="Or name of the endpoint whose model is asked.")
    benchmark: str = Field(description="Hash of the benchmark.")
    base: str | None = Field(None, description="Name of the baseline; none: the model it was trained from.")
    hardware_tag: str = "cpu"
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description='Such as {"max_new_tokens": 64, "samples": 10, "elicit": ["probability", "agreement"], "probes": '
        '["are_you_sure"]}; docs/evaluate.md names all.',
    )


class EvaluationOut(Schema):
    id: int
    model: str = Field(alias="model_name")
    endpoint: str | None
    base: str | None
    benchmark: BenchmarkOut
    job: int = Field(alias="job.id")
    state: str = Field(alias="job.state")
    reason: str = Field(alias="job.reason")
    created_at: datetime
    settings: dict[str, Any]
    headline: dict[str, Any] = Field(description="Held-out people only; empty until the scorecard is there.")

    @staticmethod
    def resolve_base(evaluation: Evaluation) -> str | None:
        return evaluation.base.name if evaluation.base else None

    @staticmethod
    def resolve_endpoint(evaluation: Evaluation) -> str | None:
        return evaluation.endpoint.name if evaluation.endpoint else None


@router.get("/evaluations", response=list[EvaluationOut], auth=ApiAuth("member"))
@paginate
def evaluation_list(request: HttpRequest) -> QuerySet[Evaluation]:
    return selectors.evaluation_list()


@router.post("/evaluations", response={201: EvaluationOut}, auth=ApiAuth("admin"))
def evaluation_create(request: HttpRequest, wanted: EvaluationIn) -> Status[Evaluation]:
    """Queue a scorecard."""
    try:
        evaluation = evaluation_queue(
            artifact=get_object_or_404(Artifact, name=wanted.model) if wanted.model else None,
            endpoint=get_object_or_404(Endpoint, name=wanted.endpoint) if wanted.endpoint else None,
            benchmark=get_object_or_404(Benchmark, hash=wanted.benchmark),
            base=get_object_or_404(Artifact, name=wanted.base) if wanted.base else None,
            settings=wanted.settings,
            hardware_tag=wanted.hardware_tag,
            actor=request.auth,  # type: ignore[attr-defined]
        )
    except EvaluationRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(201, evaluation)


@router.get("/evaluations/compare", response=list[dict[str, Any]], auth=ApiAuth("member"))
def evaluation_compare(request: HttpRequest, ids: str, slice: str | None = None) -> list[dict[str, Any]]:
    """Metrics of several models on the same questions, each against the first, paired: `ids=1,2,3`; of the first headline slice
    where none is named.
    """
    try:
        comparison = comparing.comparison_of(selectors.evaluations_of(numbers_in(ids)), wanted=slice)
    except comparing.NotComparable as refused:
        raise HttpError(422, str(refused)) from refused
    if slice is not None and slice != comparison.slice:
        raise HttpError(422, f"There is no headline slice “{slice}” here: {', '.join(comparison.slices)}.")
    return [
        {
            "slice": comparison.slice,
            "metric": row.name,
            "model": cell.model,
            **cell.value.model_dump(),
            "difference": cell.difference.model_dump() if cell.difference else None,
        }
        for row in comparison.rows
        for cell in row.cells
    ]


@router.get("/evaluations/alike", response=list[str], auth=ApiAuth("member"))
def evaluation_alike(request: HttpRequest, ids: str, slice: str | None = None) -> list[str]:
    """In what these models were not asked, labelled or judged alike; empty where they were."""
    try:
        return comparing.comparison_of(selectors.evaluations_of(numbers_in(ids)), wanted=slice).otherwise
    except comparing.NotComparable as refused:
        raise HttpError(422, str(refused)) from refused


@router.get("/evaluations/differing", response=list[dict[str, Any]], auth=ApiAuth("member"))
def evaluation_differing(request: HttpRequest, ids: str, slice: str | None = None, way: Way = "any") -> list[dict[str, Any]]:
    """The questions on which models part ways, with what each said: "gained" where a later one became honest, "lost" where
    one stopped being so."""
    try:
        found = comparing.differing_of(selectors.evaluations_of(numbers_in(ids)))
    except comparing.NotComparable as refused:
        raise HttpError(422, str(refused)) from refused
    name = slice if slice in found.slices else headline_slices(found.slices)[0]
    return [question.model_dump(mode="json") for question in found.inside(name, way)]


@router.get("/evaluations/{pk}", response=EvaluationOut, auth=ApiAuth("member"))
def evaluation_detail(request: HttpRequest, pk: int) -> Evaluation:
    return get_object_or_404(selectors.evaluation_list(), pk=pk)


@router.get("/evaluations/{pk}/scorecard", response=dict[str, Any], auth=ApiAuth("member"))
def evaluation_scorecard(request: HttpRequest, pk: int) -> dict[str, Any]:
    """The whole scorecard; 404 until it is there."""
    evaluation = get_object_or_404(Evaluation.objects.done(), pk=pk)
    assert evaluation.scorecard is not None
    return evaluation.scorecard


class AnswersToScoreIn(Schema):
    project: str = Field(description="The project's slug.")
    which: Which = "all"


class AnswersToScoreOut(Schema):
    id: int = Field(description="The import's number.")
    file_name: str
    job: int | None = Field(alias="job_id")


@router.post("/evaluations/{pk}/items", response={201: AnswersToScoreOut}, auth=ApiAuth("admin"))
def evaluation_items(request: HttpRequest, pk: int, wanted: AnswersToScoreIn) -> Status[Import]:
    """Queue an import of its answers into a project, to be scored; 409 where there is none."""
    evaluation = get_object_or_404(Evaluation.objects.select_related("job", "benchmark", "artifact", "endpoint").done(), pk=pk)
    project = get_object_or_404(Project, slug=wanted.project)
    try:
        made = answers_import(evaluation=evaluation, project=project, actor=request.auth, which=wanted.which)  # type: ignore[attr-defined]
    except AnswersGone as gone:
        raise HttpError(409, str(gone)) from gone
    return Status(201, made)


class LoopOut(Schema):
    pipeline: int = Field(alias="id")
    name: str
    settings: dict[str, Any] = Field(alias="payload")


@router.post("/loops", response={201: LoopOut}, auth=ApiAuth("admin"))
def loop_create(request: HttpRequest, wanted: DemoLoopSettings) -> Status[Pipeline]:
    """Queue one turn of the Atlas loop: teach, answer, score, gate, train, evaluate."""
    try:
        return Status(201, loop_start(actor=request.auth, wanted=wanted))  # type: ignore[attr-defined]
    except RunRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/judges", response={201: LoopOut}, auth=ApiAuth("admin"))
def judge_create(request: HttpRequest, wanted: JudgeSettings) -> Status[Pipeline]:
    """Queue the teaching of a judge for Atlas whose error is known, to be served and to be a teacher."""
    try:
        return Status(201, judge_teach(actor=request.auth, wanted=wanted))  # type: ignore[attr-defined]
    except RunRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.get("/judges/{pipeline}/error", response=dict[str, Any], auth=ApiAuth("member"))
def judge_error(request: HttpRequest, pipeline: int) -> dict[str, Any]:
    """How often a judge is wrong about people whom it was not taught about; 409 until it has been asked."""
    found = get_object_or_404(judges(), pk=pipeline)
    if found.jobs.exclude(state="succeeded").exists():
        raise HttpError(409, "It is not taught and asked yet: see its jobs.")
    try:
        return judge_error_kept(found).as_dict()
    except OSError as error:
        raise HttpError(409, "What it said was tidied away before its error was reckoned: teach it again.") from error
