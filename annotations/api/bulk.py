"""What is done to many items at once, exports and saved views, over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from annotations import selectors, services
from annotations.api.common import Text, acting_user
from annotations.api.item_query import ItemQuery, wanted_of
from annotations.models import BulkAction, SavedView
from annotations.services import BulkRefused, ViewRefused
from annotations.services.bulk import title
from annotations.services.item_export import FORMATS
from annotations.streaming import streamed

router = Router(tags=["annotations"])


class Which(Schema):
    """Either items by number, or all that a filter finds."""

    items: list[Annotated[int, Field(gt=0, lt=1 << 63)]] = Field(default=[], max_length=10_000)
    filter: ItemQuery | None = None


class BulkIn(Which):
    action: Text = Field(description="tag, untag: members; skill, priority, assign, unassign, delete, restore: admins")
    tags: list[Text] = []
    value: Text | int = Field(default="", description="The skill, or the priority: 0 none, 2 to 9, the highest first.")
    people: list[Text] = Field(default=[], description="To whom to assign; of unassign: from whom, none for everybody.")
    how: Text = Field(default="turns", description="turns: each item to one of them; all: to everybody.")


class BulkOut(Schema):
    id: int
    action: str
    title: str
    settings: dict[str, Any]
    chosen: int
    changed: int
    left_out: dict[str, int] = Field(description="Why others were left as they were, with how many.")
    by: str | None
    job: int | None = Field(description="Where a worker does it.")
    created_at: datetime
    done_at: datetime | None
    undone: int
    undo_asked_at: datetime | None
    undone_at: datetime | None


class ExportIn(Which):
    format: Text = Field(default="jsonl", description="jsonl or csv")
    with_scores: bool = Field(default=False, description="With the scores that you may see. Those of others mark your turns.")


class ViewIn(Schema):
    name: Text
    filter: ItemQuery = ItemQuery()
    shared: bool = False


class ViewChange(Schema):
    name: Text
    shared: bool = False


class ViewOut(Schema):
    id: int
    name: str
    query: str = Field(description="As in the address of the Items page.")
    shared: bool = Field(alias="is_shared")
    owner: str = Field(alias="owner.username")


def _out(record: BulkAction) -> dict[str, Any]:
    told = {name: getattr(record, name) for name in BulkOut.model_fields if name not in {"title", "by", "job"}}
    return told | {"title": title(record), "by": record.actor.username if record.actor else None, "job": record.job_id}


def _which(request: HttpRequest, asked: Which) -> dict[str, Any]:
    if asked.filter is None:
        return {"items": asked.items}
    if asked.items:
        raise HttpError(422, "Name items, or give a filter; not both.")
    return {"wanted": wanted_of(request, asked.filter)}


@router.post("/items/bulk", response={201: BulkOut}, auth=ApiAuth("member"))
def item_bulk(request: HttpRequest, asked: BulkIn) -> Status[dict[str, Any]]:
    """Change many items at once. Up to 2,000 are done when the answer comes; more are left to a worker: look at `done_at`."""
    settings = {"tags": asked.tags, "value": asked.value, "people": asked.people, "how": asked.how}
    try:
        record = services.bulk_start(action=asked.action, settings=settings, actor=acting_user(request), **_which(request, asked))
    except BulkRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(201, _out(record))


@router.get("/items/actions", response=list[BulkOut], auth=ApiAuth("member"))
def bulk_list(request: HttpRequest, limit: int = 50) -> list[dict[str, Any]]:
    """What was done to many items, newest first; of others' for admins."""
    return [_out(record) for record in selectors.bulk_list(user=acting_user(request))[: max(1, min(limit, 500))]]


@router.get("/items/actions/{pk}", response=BulkOut, auth=ApiAuth("member"))
def bulk_detail(request: HttpRequest, pk: int) -> dict[str, Any]:
    return _out(get_object_or_404(selectors.bulk_list(user=acting_user(request)), pk=pk))


@router.post("/items/actions/{pk}/undo", response=BulkOut, auth=ApiAuth("member"))
def bulk_undo(request: HttpRequest, pk: int) -> dict[str, Any]:
    """Take back what an action changed, where it still stands; `undone` says for how many items."""
    record = get_object_or_404(selectors.bulk_list(user=acting_user(request)), pk=pk)
    try:
        return _out(services.bulk_undo(record=record, actor=acting_user(request)))
    except BulkRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.post("/items/export", response=None, auth=ApiAuth("member"))
def item_export(request: HttpRequest, asked: ExportIn) -> HttpResponseBase:
    """Items as a file of JSON lines or CSV."""
    try:
        pieces = services.item_export(
            kind=asked.format, with_scores=asked.with_scores, actor=acting_user(request), **_which(request, asked)
        )
    except BulkRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return streamed(request, pieces, f"items.{asked.format}", FORMATS[asked.format])


@router.get("/items/views", response=list[ViewOut], auth=ApiAuth("member"))
def view_list(request: HttpRequest) -> Any:
    """Your saved views, and those that others share."""
    return selectors.saved_views(user=acting_user(request))


@router.post("/items/views", response={201: ViewOut}, auth=ApiAuth("member"))
def view_save(request: HttpRequest, asked: ViewIn) -> Status[SavedView]:
    """Keep a filter and order under a name; your view of that name is replaced."""
    wanted = wanted_of(request, asked.filter)
    try:
        return Status(201, services.view_save(name=asked.name, wanted=wanted, is_shared=asked.shared, actor=acting_user(request)))
    except ViewRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.patch("/items/views/{pk}", response=ViewOut, auth=ApiAuth("member"))
def view_change(request: HttpRequest, pk: int, asked: ViewChange) -> SavedView:
    view = get_object_or_404(selectors.saved_views(user=acting_user(request)), pk=pk)
    try:
        return services.view_change(view=view, name=asked.name, is_shared=asked.shared, actor=acting_user(request))
    except ViewRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.delete("/items/views/{pk}", response={204: None}, auth=ApiAuth("member"))
def view_delete(request: HttpRequest, pk: int) -> Status[None]:
    view = get_object_or_404(selectors.saved_views(user=acting_user(request)), pk=pk)
    try:
        services.view_delete(view=view, actor=acting_user(request))
    except ViewRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(204, None)
