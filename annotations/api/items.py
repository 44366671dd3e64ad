"""Items and imports over HTTP."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, File, Form, Router, Schema, Status, UploadedFile
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations import selectors, services
from annotations.api.common import Text, acting_user, project_of
from annotations.models import Flag, Import, Item
from annotations.selectors import ITEM_STATES, ItemFilter
from annotations.services.imports import upload_store

router = Router(tags=["annotations"])


class ItemOut(Schema):
    id: int
    project: str = Field(alias="project.slug")
    prompt: list[dict[str, Any]]
    answer: str
    stated_confidence: float | None
    people_scores: int
    is_open: bool


class ScoreOut(Schema):
    id: int
    item: int = Field(alias="item_id")
    rater: str = Field(alias="rater.name")
    kind: str = Field(alias="rater.kind")
    overall: float | None = Field(description="None is “not scored”, which is never 0.")
    dimensions: dict[str, float]
    critique: str
    spans: list[dict[str, Any]] = Field(description="Marks in the answer: start, end (in code points) and label.")
    cannot_verify: bool
    seconds: float | None
    given_at: datetime


class ItemDetailOut(Schema):
    id: int
    project: str
    prompt: list[dict[str, Any]]
    answer: str
    stated_confidence: float | None
    people_scores: int
    is_open: bool
    source_model: str
    gold_answers: list[str]
    knowledge: str | None
    entity: str
    metadata: dict[str, Any]
    flags: list[dict[str, Any]] = Field(description="Those that are open: id, reason, note.")
    scores: list[dict[str, Any]] = Field(description="As in the answer to giving a score.")
    hidden: str = Field(description='"" all are shown; "blind": give yours first; "role": others’ scores are for members')


class ImportOut(Schema):
    id: int
    file_name: str
    report: dict[str, Any]
    job: int | None = Field(default=None, alias="job_id")
    finished_at: datetime | None


@router.post("/projects/{slug}/import", response={201: ImportOut}, auth=ApiAuth("admin"))
def item_import(
    request: HttpRequest,
    slug: Text,
    file: File[UploadedFile],
    rater_name: Form[str] = "imported",
) -> Status[Import]:
    """Queue the import of a JSON-lines file of RLWHF tuples."""
    project = project_of(slug)
    name = Path(file.name or "upload.jsonl").name.replace("\x00", "")
    stored = upload_store(file.chunks())
    record = services.import_queue(
        project=project, file_name=name, stored_path=stored, actor=acting_user(request), rater_name=rater_name.replace("\x00", "")
    )
    return Status(201, record)


@router.get("/imports/{pk}", response=ImportOut, auth=ApiAuth("member"))
def import_detail(request: HttpRequest, pk: int) -> Import:
    return get_object_or_404(Import, pk=pk)


@router.get("/items", response=list[ItemOut], auth=ApiAuth("annotator"))
@paginate
def item_list(request: HttpRequest, project: Text = "", q: Text = "", state: Text = "", source: Text = "") -> QuerySet[Item]:
    if state not in ITEM_STATES:
        raise HttpError(422, f"state is one of {', '.join(filter(None, ITEM_STATES))}")
    wanted = ItemFilter(project=project_of(project) if project else None, text=q[:200], state=state, source=source)
    return selectors.item_list(wanted=wanted, user=acting_user(request)).defer(None).defer("search", "metadata")


@router.get("/items/{pk}", response=ItemDetailOut, auth=ApiAuth("annotator"))
def item_detail(request: HttpRequest, pk: int) -> dict[str, Any]:
    """An item with the scores of it that you may see. Once you have been shown others', you cannot score it any more."""
    item = get_object_or_404(Item.objects.select_related("project"), pk=pk)
    seen = selectors.scores_seen(item=item, user=acting_user(request))
    about = ItemOut.from_orm(item).dict()
    more = {name: getattr(item, name) for name in ("source_model", "gold_answers", "knowledge", "entity")}
    more["metadata"] = selectors.metadata_seen(item=item, user=acting_user(request))
    if selectors.sees_others(seen=seen, metadata=more["metadata"], user=acting_user(request)):
        services.scores_shown(items=[item.pk], actor=acting_user(request))
    more["flags"] = [{"id": one.pk, "reason": one.reason, "note": one.note} for one in selectors.open_flags(item=item)]
    scores = [ScoreOut.from_orm(score).dict() for score in (seen.mine, *seen.others) if score]
    return about | more | {"scores": scores, "hidden": seen.hidden}


@router.post("/items/{pk}/reveal", response=ItemDetailOut, auth=ApiAuth("member"))
def item_reveal(request: HttpRequest, pk: int) -> dict[str, Any]:
    """See the others' scores without giving one; you are then not asked to score this item any more."""
    services.item_reveal(item=get_object_or_404(Item, pk=pk), actor=acting_user(request))
    return item_detail(request, pk)


@router.post("/flags/{pk}/resolve", response={204: None}, auth=ApiAuth("member"))
def flag_resolve(request: HttpRequest, pk: int) -> Status[None]:
    """Say that a flagged item is in order; `flags` of the item holds the ids."""
    services.flag_resolve(flag=get_object_or_404(Flag, pk=pk), actor=acting_user(request))
    return Status(204, None)
