"""Runs and models over HTTP."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations.models import DatasetVersion
from training import selectors
from training.models import Artifact, Run
from training.recipes import recipe_paths
from training.services import RunRefused, artifact_register, run_queue

router = Router(tags=["training"])


class RunIn(Schema):
    name: str = Field(description="Small letters, digits and dashes; the model gets this name.")
    recipe: str
    dataset: str = Field(description="Name of a dataset version.")
    base: str | None = Field(None, description="Name of the model to start from; none: the recipe's own.")
    hardware_tag: str = "cpu"
    overrides: dict[str, Any] = Field(default_factory=dict, description='Such as {"settings.max_steps": 60}.')


class RunOut(Schema):
    name: str
    method: str
    recipe: str
    dataset: str = Field(alias="dataset.name")
    base: str | None
    job: int = Field(alias="job.id")
    state: str = Field(alias="job.state")
    reason: str = Field(alias="job.reason")
    created_at: datetime
    spec: dict[str, Any]

    @staticmethod
    def resolve_base(run: Run) -> str | None:
        return run.base.name if run.base else None


class ArtifactOut(Schema):
    name: str
    kind: str
    base: str | None
    created_at: datetime
    ready_at: datetime | None
    metrics: dict[str, Any]

    @staticmethod
    def resolve_base(artifact: Artifact) -> str | None:
        return artifact.base.name if artifact.base else None


class RecipeOut(Schema):
    name: str
    title: str = Field(alias="recipe.title")
    description: str = Field(alias="recipe.description")
    method: str = Field(alias="recipe.method")
    settings: dict[str, Any] = Field(alias="recipe.settings")


@router.get("/recipes", response=list[RecipeOut], auth=ApiAuth("member"))
def recipe_list(request: HttpRequest) -> list[Any]:
    return list(selectors.recipe_list())


@router.get("/runs", response=list[RunOut], auth=ApiAuth("member"))
@paginate
def run_list(request: HttpRequest) -> QuerySet[Run]:
    return selectors.run_list()


@router.post("/runs", response={201: RunOut}, auth=ApiAuth("admin"))
def run_create(request: HttpRequest, wanted: RunIn) -> Status[Run]:
    """Queue a training run."""
    if wanted.recipe not in recipe_paths():  # a path would have the server read any file of its own
        raise HttpError(422, f"There is no recipe “{wanted.recipe}”; there are {', '.join(recipe_paths())}.")
    dataset = _named(DatasetVersion, wanted.dataset)
    base = _named(Artifact, wanted.base) if wanted.base else None
    values = wanted.dict() | {"dataset": dataset, "base": base}
    try:
        run = run_queue(**values, actor=request.auth)  # type: ignore[attr-defined]
    except RunRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(201, run)


@router.get("/runs/{name}", response=RunOut, auth=ApiAuth("member"))
def run_detail(request: HttpRequest, name: str) -> Run:
    return get_object_or_404(selectors.run_list(), name=name)


@router.get("/models", response=list[ArtifactOut], auth=ApiAuth("member"))
@paginate
def artifact_list(request: HttpRequest) -> QuerySet[Artifact]:
    return selectors.artifact_list()


@router.get("/models/{name}", response=ArtifactOut, auth=ApiAuth("member"))
def artifact_detail(request: HttpRequest, name: str) -> Artifact:
    return get_object_or_404(Artifact.objects.select_related("base"), name=name)


class ArtifactIn(Schema):
    name: str
    folder: str = Field(description="A folder on the server with safetensors weights and no code.")


@router.post("/models", response={201: ArtifactOut}, auth=ApiAuth("admin"))
def artifact_create(request: HttpRequest, wanted: ArtifactIn) -> Status[Artifact]:
    """Make a model that was not trained here known."""
    try:
        return Status(201, artifact_register(name=wanted.name, folder=Path(wanted.folder), actor=request.auth))  # type: ignore[attr-defined]
    except RunRefused as refused:
        raise HttpError(422, str(refused)) from refused


def _named(model: Any, name: str) -> Any:
    found = model.objects.filter(name=name).first()
    if found is None:
        raise HttpError(422, f"There is no {model._meta.verbose_name} named “{name}”.")
    return found
