"""Projects over HTTP."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations import selectors, services
from annotations.api.common import Text, acting_user, project_of
from annotations.models import Project
from annotations.rubric import rubric_names

router = Router(tags=["annotations"])


class ProjectOut(Schema):
    name: str
    slug: str
    guidelines: str
    raters_per_item: int
    item_count: int
    rubric: str = Field(alias="rubric_version.name")
    rubric_version: int = Field(alias="rubric_version.version")


class ProjectIn(Schema):
    name: Text
    guidelines: Text = ""
    raters_per_item: int = Field(default=1, ge=0, le=50)


class ProjectChange(Schema):
    """What is left out stays as it is."""

    name: Text | None = None
    guidelines: Text | None = None
    raters_per_item: int | None = Field(default=None, ge=0, le=50)
    rubric: Text | None = Field(default=None, description="Name of a rubric, such as honesty-1.")


class ProgressOut(Schema):
    items: int
    done: int
    scores: int
    mine: int


class GoldOut(Schema):
    scores: int


@router.get("/projects", response=list[ProjectOut], auth=ApiAuth("annotator"))
@paginate
def project_list(request: HttpRequest) -> QuerySet[Project]:
    return selectors.project_list()


@router.post("/projects", response={201: ProjectOut}, auth=ApiAuth("admin"))
def project_create(request: HttpRequest, wanted: ProjectIn) -> Status[Project]:
    try:
        return Status(201, services.project_create(**wanted.dict(), actor=acting_user(request)))
    except ValidationError as error:
        raise HttpError(422, " ".join(error.messages)) from error


@router.patch("/projects/{slug}", response=ProjectOut, auth=ApiAuth("admin"))
def project_update(request: HttpRequest, slug: Text, wanted: ProjectChange) -> Project:
    project = project_of(slug)
    if wanted.rubric is not None and wanted.rubric not in rubric_names():
        raise HttpError(422, f"There is no rubric “{wanted.rubric}”; there are {', '.join(rubric_names())}.")
    now = {name: getattr(project, name) for name in ("name", "guidelines", "raters_per_item")}
    try:
        return services.project_update(project=project, actor=acting_user(request), **now | wanted.dict(exclude_none=True))
    except ValidationError as error:
        raise HttpError(422, " ".join(error.messages)) from error


@router.get("/projects/{slug}/progress", response=ProgressOut, auth=ApiAuth("annotator"))
def project_progress(request: HttpRequest, slug: Text) -> Any:
    return selectors.project_progress(project=project_of(slug), user=acting_user(request))


@router.post("/projects/{slug}/gold", response=GoldOut, auth=ApiAuth("admin"))
def gold_score(request: HttpRequest, slug: Text) -> dict[str, int]:
    """Score every item that has a gold answer."""
    return {"scores": services.gold_score(project=project_of(slug), actor=acting_user(request))}
