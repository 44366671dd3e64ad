"""Rubric versions over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Field, Router, Schema
from ninja.errors import HttpError
from pydantic import AfterValidator

from accounts.api_auth import ApiAuth
from annotations.api.common import Text, acting_user, project_of, storable
from annotations.models import RubricVersion
from annotations.rubric_text import rubric_differences, rubric_toml
from annotations.selectors.rubrics import rubric_key, rubric_uses
from annotations.services.rubrics import RubricRefused, rubric_edit, rubric_found, rubric_read, rubric_use

router = Router(tags=["annotations"])


class VersionOut(Schema):
    key: str
    name: str
    version: int
    title: str
    content_hash: str
    created_at: datetime
    scores_here: int
    scores: int
    projects: list[str]


class RubricOut(Schema):
    key: str
    rubric: dict[str, Any]


class DifferenceOut(Schema):
    place: str
    before: str | None
    after: str | None


class RubricUse(Schema):
    rubric: Text = Field(description="A key, such as honesty-2, or the start of a content hash.")


@router.get("/projects/{slug}/rubric", response=RubricOut, auth=ApiAuth("annotator"))
def rubric_detail(request: HttpRequest, slug: Text) -> dict[str, Any]:
    """The rubric that the project is scored under."""
    return _out(project_of(slug).rubric_version)


@router.get("/projects/{slug}/rubric.toml", auth=ApiAuth("member"))
def rubric_download(request: HttpRequest, slug: Text) -> HttpResponse:
    version = project_of(slug).rubric_version
    return HttpResponse(rubric_toml(version.rubric), content_type="application/toml; charset=utf-8")


@router.put("/projects/{slug}/rubric", response=RubricOut, auth=ApiAuth("admin"))
def rubric_change(
    request: HttpRequest, slug: Text, rubric: Body[Annotated[dict[str, Any], AfterValidator(storable)]]
) -> dict[str, Any]:
    """Move the project to this rubric, as a new version of its name; what says the same as a version makes no new one."""
    try:
        return _out(rubric_edit(project=project_of(slug), data=rubric, actor=acting_user(request)))
    except RubricRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.put("/projects/{slug}/rubric.toml", response=RubricOut, auth=ApiAuth("admin"))
def rubric_upload(request: HttpRequest, slug: Text) -> dict[str, Any]:
    """The same, from the body as TOML."""
    try:
        data = rubric_read(text=request.body.decode("utf-8", "replace")).model_dump(mode="json")
        return _out(rubric_edit(project=project_of(slug), data=data, actor=acting_user(request)))
    except RubricRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/projects/{slug}/rubric/use", response=RubricOut, auth=ApiAuth("admin"))
def use(request: HttpRequest, slug: Text, wanted: RubricUse) -> dict[str, Any]:
    """Move the project to a version that there is."""
    project = project_of(slug)
    return _out(rubric_use(project=project, version=_version(wanted.rubric), actor=acting_user(request)))


@router.get("/projects/{slug}/rubric/versions", response=list[VersionOut], auth=ApiAuth("member"))
def versions(request: HttpRequest, slug: Text) -> list[dict[str, Any]]:
    """All versions of the project's rubric, newest first, and how many scores each has."""
    return [
        {
            "key": rubric_key(one.version),
            **{name: getattr(one.version, name) for name in ("name", "version", "title", "content_hash", "created_at")},
            "scores_here": one.here,
            "scores": one.everywhere,
            "projects": one.projects,
        }
        for one in rubric_uses(project=project_of(slug))
    ]


@router.get("/rubrics/differences", response=list[DifferenceOut], auth=ApiAuth("member"))
def differences(request: HttpRequest, before: Text, after: Text) -> list[dict[str, Any]]:
    """What changed from one rubric to another."""
    return [vars(one) for one in rubric_differences(_version(before).rubric, _version(after).rubric)]


def _version(key: str) -> RubricVersion:
    try:
        return rubric_found(key=key)
    except RubricRefused as refused:
        raise HttpError(404, str(refused)) from refused


def _out(version: RubricVersion) -> dict[str, Any]:
    return {"key": rubric_key(version), "rubric": version.rubric.model_dump(mode="json")}
