"""Self-rewarding over HTTP."""

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations.models import DatasetVersion
from evaluation.self_rewarding import selectors, services
from evaluation.self_rewarding.report import loop_report
from evaluation.self_rewarding.services import LoopRefused
from evaluation.self_rewarding.settings import STAGES, LoopSettings, Stage
from jobs.models import Pipeline

router = Router(tags=["self-rewarding"])
FILE = {"responses": {200: {"description": "The file.", "content": {"text/html": {}, "application/pdf": {}}}}}


class LoopIn(Schema):
    settings: LoopSettings
    stages: list[Stage] = Field(list(STAGES), description="The first ones alone, where the loop is to go stage by stage.")


class StageIn(Schema):
    stage: Stage
    settings: dict[str, Any] = Field(default_factory=dict, description="Other settings from there on.")


class ResumeIn(Schema):
    regardless: bool = Field(False, description="Also where the loop ended early.")


@router.get("/self-rewarding", response=list[dict[str, Any]], auth=ApiAuth("member"))
@paginate
def self_rewarding_list(request: HttpRequest) -> list[dict[str, Any]]:
    """Loops, newest first."""
    found = (selectors.loop_detail(one) for one in selectors.loops())
    return [{"id": one.pipeline.pk, "name": one.pipeline.name, "state": one.state, "rounds": len(one.rounds)} for one in found]


@router.post("/self-rewarding", response={201: dict[str, Any]}, auth=ApiAuth("admin"))
def self_rewarding_create(request: HttpRequest, wanted: LoopIn) -> Status[dict[str, Any]]:
    """Queue a loop: its first round, or the first stages of that. Prompts by the name of a dataset version alone."""
    _check_no_path(wanted.settings.prompts)
    try:
        made = services.loop_start(wanted=wanted.settings, stages=wanted.stages, actor=request.auth)  # type: ignore[attr-defined]
    except LoopRefused as refused:
        raise HttpError(422, f"{refused.field}: {refused}") from refused
    return Status(201, _document(made.pk))


@router.get("/self-rewarding/{pk}", response=dict[str, Any], auth=ApiAuth("member"))
def self_rewarding_detail(request: HttpRequest, pk: int) -> dict[str, Any]:
    """All rounds with their stages, datasets, runs, scorecards, decisions and figures."""
    return _document(pk)


@router.post("/self-rewarding/{pk}/stop", response=dict[str, Any], auth=ApiAuth("admin"))
def self_rewarding_stop(request: HttpRequest, pk: int) -> dict[str, Any]:
    services.loop_stop(pipeline=_pipeline(pk), actor=request.auth)  # type: ignore[attr-defined]
    return _document(pk)


@router.post("/self-rewarding/{pk}/resume", response=dict[str, Any], auth=ApiAuth("admin"))
def self_rewarding_resume(request: HttpRequest, pk: int, wanted: ResumeIn) -> dict[str, Any]:
    """Go on where the loop stands; 409 where there is nothing to go on with."""
    try:
        services.loop_resume(pipeline=_pipeline(pk), actor=request.auth, regardless=wanted.regardless)  # type: ignore[attr-defined]
    except LoopRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return _document(pk)


@router.post("/self-rewarding/{pk}/stage", response=dict[str, Any], auth=ApiAuth("admin"))
def self_rewarding_stage(request: HttpRequest, pk: int, wanted: StageIn) -> dict[str, Any]:
    """Queue the next stage of a loop that goes stage by stage; 409 where it is another's turn."""
    pipeline = _pipeline(pk)
    if "prompts" in wanted.settings:
        _check_no_path(str(wanted.settings["prompts"]))
    try:
        services.stage_continue(pipeline=pipeline, stage=wanted.stage, settings=wanted.settings, actor=request.auth)  # type: ignore[attr-defined]
    except LoopRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return _document(pk)


@router.get("/self-rewarding/{pk}/report.{format}", auth=ApiAuth("member"), openapi_extra=FILE)
def self_rewarding_report(request: HttpRequest, pk: int, format: Literal["html", "pdf"]) -> HttpResponse:
    """The curves and distributions as one HTML file that needs nothing else, or a PDF."""
    made = loop_report(selectors.loop_detail(_pipeline(pk)), format=format)
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return HttpResponse(made.content, content_type=made.content_type, headers=headers)


def _check_no_path(prompts: str) -> None:
    """Files of the machine are for whoever is at its shell: a token reads none of them by its path."""
    if not DatasetVersion.objects.filter(name=prompts).exists():
        told = "there is no dataset version of that name; a file is for the shell: rlwhf pipeline"
        raise HttpError(422, f"prompts: {told}")


def _pipeline(pk: int) -> Pipeline:
    return get_object_or_404(selectors.loops(), pk=pk)


def _document(pk: int) -> dict[str, Any]:
    return selectors.loop_document(selectors.loop_detail(_pipeline(pk)))
