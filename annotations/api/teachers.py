"""AI teachers over HTTP."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from accounts.models import Endpoint
from annotations.api.common import acting_user, project_of
from annotations.models import Teacher, TeacherCall, TeacherRun, TeacherVersion
from annotations.selectors import teachers as selectors
from annotations.services.teachers import DEFAULT_PROMPT, TeacherRefused, teacher_run_queue, teacher_save, teacher_switch

router = Router(tags=["teachers"])


class TeacherIn(Schema):
    endpoint: str = Field(description="Name of the endpoint that answers.")
    prompt: str | dict[str, Any] = Field(DEFAULT_PROMPT, description="Name of one of ours, or a prompt's fields.")
    weight: float = 1.0
    uses_reference: bool = False
    max_tokens: int = 400
    temperature: float = 0.0
    fallback: str | None = Field(None, description="Name of the endpoint that is asked where the first cannot be had.")
    uses_rules: bool = False
    search_url: str = Field("", max_length=500, description="A search service in SearXNG's form; its findings are evidence.")
    search_model: str | None = Field(None, description="Name of the endpoint that is asked what it knows in a search's stead.")
    max_calls: int | None = Field(None, ge=1)
    max_cost: Decimal | None = Field(None, ge=0)
    note: str = Field("", max_length=200)


class TeacherOut(Schema):
    name: str = Field(alias="teacher.name")
    version: int = Field(alias="number")
    is_active: bool = Field(alias="teacher.is_active")
    weight: float = Field(alias="teacher.weight")
    endpoint: str = Field(alias="endpoint.name")
    model: str
    prompt: dict[str, Any]
    uses_reference: bool
    search_url: str
    search_model: str | None
    rater: str = Field(alias="rater.name")
    created_at: datetime

    @staticmethod
    def resolve_search_model(version: TeacherVersion) -> str | None:
        return version.search_model.name if version.search_model else None


class TeacherRunIn(Schema):
    project: str = Field(description="Its short name.")
    most: int | None = Field(
        None, ge=0, description="Items, at most; null: all that it has not scored; 0: only hold it against people anew."
    )


class TeacherRunOut(Schema):
    id: int
    teacher: str
    project: str = Field(alias="project.slug")
    job: int = Field(alias="job_id")
    state: str = Field(alias="job.state")
    most: int | None = Field(description="As it was asked for; 0: nothing was asked, it was held against people anew.")
    scored: int
    cannot_tell: int
    malformed: int
    questions: int = Field(description="How often services were asked for verdicts, malformed replies and both orders included.")
    tokens_in: int
    tokens_out: int
    cost: float | None = Field(description="null: no service that was asked has a price.")
    ended_early: str

    @staticmethod
    def resolve_teacher(run: TeacherRun) -> str:
        return str(run.version)


class EvidenceOut(Schema):
    provider: str = Field(description="Who was asked, and in which form or by which prompt.")
    query: str
    text: str = Field(description="As the teacher was shown it.")
    digest: str = Field(description="SHA-256 of the text.")
    results: list[dict[str, str]]
    found_at: datetime


class CallOut(Schema):
    item: int = Field(alias="item_id")
    teacher: str
    source: str
    score: float | None
    other: int | None = Field(alias="other_id", description="Of a pair: the second answer's item.")
    better: str = Field(description='Of a pair: "first", "second" or "tie".')
    consistent: bool | None = Field(description="Of a pair: whether both orders said the same.")
    reason: str
    evidence_source: str = Field(description='"" shown none, "search", "cache", "model" or "rules".')
    evidence_trouble: str = Field(description="Why it is not what a search said at that moment.")
    evidence: EvidenceOut | None
    reply: str
    questions: int
    tokens_in: int
    tokens_out: int
    cost: float | None
    seconds: float
    at: datetime

    @staticmethod
    def resolve_teacher(call: TeacherCall) -> str:
        return str(call.run.version)


class TeacherQualityOut(Schema):
    teacher: str
    project: str
    rankings: dict[str, Any] | None = Field(
        None, description="Of one that compares answers: agreement with people's orders, τ, ties, and whether both orders agree."
    )
    quality: dict[str, Any] = Field(description="κ, bias by score, source and length, calibration; each with n and interval.")
    alternative: dict[str, Any] = Field(description="The alternative annotator test: may it stand in for a person here?")
    mean: dict[str, Any] = Field(description="People's mean score by prediction-powered inference.")


class SwitchIn(Schema):
    active: bool


@router.get("/teachers", response=list[TeacherOut], auth=ApiAuth("member"))
@paginate
def teachers(request: HttpRequest) -> QuerySet[TeacherVersion]:
    """The newest version of each."""
    newest = TeacherVersion.objects.order_by("teacher_id", "-number").distinct("teacher_id")
    return newest.select_related("teacher", "endpoint", "search_model", "rater")


@router.put("/teachers/{name}", response=TeacherOut, auth=ApiAuth("admin"))
def teacher_put(request: HttpRequest, name: str, wanted: TeacherIn) -> TeacherVersion:
    """Make a teacher, or the next version of one; asked again in the same words nothing changes."""
    endpoint = get_object_or_404(Endpoint, name=wanted.endpoint)
    named = {
        field: get_object_or_404(Endpoint, name=getattr(wanted, field)) if getattr(wanted, field) else None
        for field in ("fallback", "search_model")
    }
    how = wanted.model_dump(exclude={"endpoint", *named}) | named
    try:
        return teacher_save(name=name, endpoint=endpoint, actor=acting_user(request), **how)
    except TeacherRefused as refused:
        raise HttpError(422, f"{refused.field}: {refused}") from refused


@router.post("/teachers/{name}/switch", response=TeacherOut, auth=ApiAuth("admin"))
def teacher_switched(request: HttpRequest, name: str, wanted: SwitchIn) -> TeacherVersion:
    teacher = teacher_switch(teacher=_teacher(name), is_active=wanted.active, actor=acting_user(request))
    return teacher.versions.select_related("teacher", "endpoint", "search_model", "rater")[0]


@router.post("/teachers/{name}/runs", response={201: TeacherRunOut}, auth=ApiAuth("admin"))
def teacher_run(request: HttpRequest, name: str, wanted: TeacherRunIn) -> Status[TeacherRun]:
    """Have it score what it has not scored in a project."""
    try:
        run = teacher_run_queue(
            teacher=_teacher(name), project=project_of(wanted.project), most=wanted.most, actor=acting_user(request)
        )
    except TeacherRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return Status(201, run)


@router.get("/teachers/{name}/runs", response=list[TeacherRunOut], auth=ApiAuth("member"))
@paginate
def teacher_runs(request: HttpRequest, name: str) -> QuerySet[TeacherRun]:
    return selectors.runs_of(_teacher(name))


@router.get("/teachers/{name}/calls", response=list[CallOut], auth=ApiAuth("member"))
@paginate
def teacher_calls(request: HttpRequest, name: str) -> QuerySet[TeacherCall]:
    """Every verdict that was asked for, the newest first."""
    return selectors.calls_of(_teacher(name))


@router.get("/teachers/{name}/quality/{project}", response=TeacherQualityOut, auth=ApiAuth("member"))
def teacher_quality(request: HttpRequest, name: str, project: str, version: int | None = None) -> TeacherQualityOut:
    """A version held against the project's people: the newest, or the one of that number."""
    versions = _teacher(name).versions.select_related("teacher", "rater")
    asked = versions.first() if version is None else versions.filter(number=version).first()
    if asked is None:
        raise HttpError(404, "This teacher has no version." if version is None else f"This teacher has no version {version}.")
    found = selectors.measured(asked).get(project_of(project))
    if found is None:
        raise HttpError(404, "It was not held against people there yet: queue a run.")
    assert found.quality is not None  # those without are left out
    return TeacherQualityOut(teacher=str(asked), project=project, **found.quality)


def _teacher(name: str) -> Teacher:
    return get_object_or_404(Teacher, name=name)
