"""Chains of specialists over HTTP."""

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
from annotations.models import Chain, ChainResult, ChainRun, ChainStep, ChainVersion
from annotations.selectors import chains as selectors
from annotations.services.chains import ChainRefused, StepWanted, chain_run_queue, chain_save, chain_switch

router = Router(tags=["chains"])


class StepIn(Schema):
    prompt: str | dict[str, Any] = Field(description="Name of one of ours, or a prompt's fields.")
    endpoint: str = Field(description="Name of the endpoint that is asked.")
    max_tokens: int = 800
    temperature: float = 0.0


class ChainIn(Schema):
    steps: list[StepIn]
    max_calls: int | None = Field(None, ge=1)
    max_cost: Decimal | None = Field(None, ge=0)
    note: str = Field("", max_length=200)


class StepOut(Schema):
    position: int
    role: str = Field(description='"answer", "review", "revise" or "extend".')
    endpoint: str = Field(alias="endpoint.name")
    model: str
    prompt: dict[str, Any]
    max_tokens: int
    temperature: float


class ChainOut(Schema):
    name: str = Field(alias="chain.name")
    version: int = Field(alias="number")
    is_active: bool = Field(alias="chain.is_active")
    steps: list[StepOut]
    created_at: datetime

    @staticmethod
    def resolve_steps(version: ChainVersion) -> list[ChainStep]:
        return list(version.steps.select_related("endpoint").order_by("position"))


class ChainRunIn(Schema):
    project: str = Field(description="Its short name.")
    most: int | None = Field(None, ge=1, description="Items to begin with, at most; null: all that it has not gone through.")


class ChainRunOut(Schema):
    id: int
    chain: str
    project: str = Field(alias="project.slug")
    job: int = Field(alias="job_id")
    state: str = Field(alias="job.state")
    calls: int
    made: int = Field(description="Items that were not there before.")
    failed: int
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    ended_early: str

    @staticmethod
    def resolve_chain(run: ChainRun) -> str:
        return str(run.version)


class ResultOut(Schema):
    chain: str
    run: int = Field(alias="run_id")
    step: int = Field(alias="step.position")
    role: str = Field(alias="step.role")
    model: str = Field(alias="step.model")
    source: int = Field(alias="source_id", description="The item that the chain began with.")
    parent: int = Field(alias="parent_id", description="The item that this step worked on.")
    item: int | None = Field(alias="item_id", description="What came of it.")
    is_new: bool
    reply: str
    reason: str = Field(description="Why nothing came of it; empty where something did.")
    tokens_in: int
    tokens_out: int
    cost: float | None
    at: datetime

    @staticmethod
    def resolve_chain(result: ChainResult) -> str:
        return str(result.step.version)


class SwitchIn(Schema):
    active: bool


@router.get("/chains", response=list[ChainOut], auth=ApiAuth("member"))
@paginate
def chains(request: HttpRequest) -> QuerySet[ChainVersion]:
    """The newest version of each."""
    return ChainVersion.objects.order_by("chain_id", "-number").distinct("chain_id").select_related("chain")


@router.put("/chains/{name}", response=ChainOut, auth=ApiAuth("admin"))
def chain_put(request: HttpRequest, name: str, wanted: ChainIn) -> ChainVersion:
    """Make a chain, or the next version of one; asked again in the same words nothing changes."""
    steps = [
        StepWanted(one.prompt, get_object_or_404(Endpoint, name=one.endpoint), one.max_tokens, one.temperature)
        for one in wanted.steps
    ]
    try:
        return chain_save(name=name, steps=steps, actor=acting_user(request), **wanted.model_dump(exclude={"steps"}))
    except ChainRefused as refused:
        raise HttpError(422, f"{refused.field}: {refused}") from refused


@router.post("/chains/{name}/switch", response=ChainOut, auth=ApiAuth("admin"))
def chain_switched(request: HttpRequest, name: str, wanted: SwitchIn) -> ChainVersion:
    chain = chain_switch(chain=_chain(name), is_active=wanted.active, actor=acting_user(request))
    return chain.versions.select_related("chain")[0]


@router.post("/chains/{name}/runs", response={201: ChainRunOut}, auth=ApiAuth("admin"))
def chain_run(request: HttpRequest, name: str, wanted: ChainRunIn) -> Status[ChainRun]:
    """Have it go through the items of a project that it has not gone through."""
    chain = _chain(name)
    try:
        run = chain_run_queue(chain=chain, project=project_of(wanted.project), most=wanted.most, actor=acting_user(request))
    except ChainRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return Status(201, selectors.chain_runs(chain).get(pk=run.pk))


@router.get("/chains/{name}/runs", response=list[ChainRunOut], auth=ApiAuth("member"))
@paginate
def chain_runs(request: HttpRequest, name: str) -> QuerySet[ChainRun]:
    return selectors.chain_runs(_chain(name))


@router.get("/chains/{name}/results", response=list[ResultOut], auth=ApiAuth("member"))
@paginate
def chain_results(request: HttpRequest, name: str) -> QuerySet[ChainResult]:
    """What each step said of each item, the newest first, with what it took."""
    return selectors.chain_results(_chain(name))


def _chain(name: str) -> Chain:
    return get_object_or_404(Chain, name=name)
