"""The quality of a project's scores over HTTP. For members and up: it names people."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from accounts.api_auth import ApiAuth
from annotations import services
from annotations.api.common import Text, acting_user, project_of
from annotations.selectors.quality import quality_document, quality_latest

router = Router(tags=["annotations"])


class QualityOut(Schema):
    """`report` is null where none was computed yet; values that could not be computed are null with a reason, never 0."""

    project: str
    computed_at: str | None
    newer_scores: int
    is_outdated: bool = Field(description="Scores were revoked, or count again, since it was computed.")
    job: int | None
    report: dict[str, Any] | None


class QualityQueued(Schema):
    job: int | None


@router.get("/projects/{slug}/quality", response=QualityOut, auth=ApiAuth("member"))
def quality_detail(request: HttpRequest, slug: Text) -> dict[str, Any]:
    """The newest report: agreement with intervals, each annotator's figures, consensus. The items that it names as disputed count
    as shown to you.
    """
    document = quality_document(quality_latest(project=project_of(slug)))
    if report := document["report"]:
        shown = [row["item"] for row in report["consensus"]["disputed"]]
        services.scores_shown(items=shown, actor=acting_user(request))
    return document


@router.post("/projects/{slug}/quality", response={202: QualityQueued}, auth=ApiAuth("member"))
def quality_queue(request: HttpRequest, slug: Text) -> Status[dict[str, Any]]:
    """Ask for a new report; one that is under way is not asked for twice."""
    report = services.quality_queue(project=project_of(slug), actor=acting_user(request))
    return Status(202, {"job": report.job_id})
