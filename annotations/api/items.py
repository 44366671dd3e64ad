"""Items over HTTP."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema, Status
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from accounts.models import User
from annotations import selectors, services
from annotations.api.common import Text, acting_user
from annotations.api.item_query import ItemQuery, wanted_of
from annotations.models import Flag, Item
from annotations.selectors import SearchRefused
from annotations.selectors.item_matches import LEADS_PRIORITY

router = Router(tags=["annotations"])
MOST_LISTED = 1000


class ItemOut(Schema):
    id: int
    project: str
    prompt: list[dict[str, Any]]
    answer: str
    stated_confidence: float | None
    people_scores: int | None = Field(description="For members.")
    is_open: bool
    tags: list[str] = Field(description="This, skill and priority are for members.")
    skill: str
    priority: int = Field(description="As a lead has set it; 0: none.")


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
    people_scores: int | None
    is_open: bool
    tags: list[str]
    skill: str
    priority: int
    source_model: str
    gold_answers: list[str]
    knowledge: str | None
    entity: str
    metadata: dict[str, Any]
    flags: list[dict[str, Any]] = Field(description="Those that are open: id, reason, note.")
    scores: list[dict[str, Any]] = Field(description="As in the answer to giving a score.")
    teachers: dict[str, float | None] | None = Field(
        None, description="What several teachers say together: scores, median, weighted, majority (null of a tie), consensus."
    )
    hidden: str = Field(description='"" all are shown; "blind": give yours first; "role": others’ scores are for members')


class ItemsOut(Schema):
    items: list[ItemOut]
    count: int = Field(description="How many match; where `capped`, there are more than that.")
    capped: bool
    next: str | None = Field(description="Give this as `after` for the items that follow.")


@router.get("/items", response=ItemsOut, auth=ApiAuth("annotator"))
def item_list(request: HttpRequest, asked: Query[ItemQuery], limit: Query[int] = 100, after: Text = "") -> dict[str, Any]:
    """Items by filter and order, as on the Items page: by scores you find only items whose scores you may see."""
    wanted = wanted_of(request, asked)
    user = acting_user(request)
    place = selectors.place_read(text=after, wanted=wanted, backwards=False) if after else None
    if after and place is None:
        raise HttpError(422, "after: is no place in this order; take `next` of an answer.")
    try:
        page = selectors.item_page(wanted=wanted, user=user, size=max(1, min(limit, MOST_LISTED)), place=place)
    except SearchRefused as refused:
        raise HttpError(422, str(refused)) from refused
    rows = selectors.item_rows(items=page.items, whole=True)
    scored = selectors.scored_by(items=page.items, user=user)
    return {
        "items": [item_out(row, user, has_scored=row.pk in scored) for row in rows],
        "count": page.total,
        "capped": page.is_capped,
        "next": str(page.later) if page.later else None,
    }


def item_out(item: Item, user: User, *, has_scored: bool) -> dict[str, Any]:
    """An item as `user` may see it: annotators are told neither how many have scored it nor that it is gold."""
    is_member = user.has_role("member")
    return _content(item) | {
        "people_scores": item.people_scores if is_member else None,
        "is_open": selectors.looks_open(item=item, is_member=is_member, has_scored=has_scored),
        "tags": item.tags if is_member else [],
        "skill": item.skill if is_member else "",
        "priority": item.priority if is_member and item.priority >= LEADS_PRIORITY else 0,
    }


def item_in_hand(item: Item) -> dict[str, Any]:
    """An item as whoever scores it may see it, in whatever role: as if it were new, so that nothing tells gold items, disputed
    ones and what others gave from the rest.
    """
    return _content(item) | {"people_scores": None, "is_open": True, "tags": [], "skill": "", "priority": 0}


def _content(item: Item) -> dict[str, Any]:
    return {
        "id": item.pk,
        "project": item.project.slug,
        "prompt": item.prompt,
        "answer": item.answer,
        "stated_confidence": item.stated_confidence,
    }


@router.get("/items/{pk}", response=ItemDetailOut, auth=ApiAuth("annotator"))
def item_detail(request: HttpRequest, pk: int) -> dict[str, Any]:
    """An item with the scores of it that you may see. Once you have been shown others', you cannot score it any more."""
    item = get_object_or_404(Item.objects.select_related("project"), pk=pk)
    seen = selectors.scores_seen(item=item, user=acting_user(request))
    about = item_out(item, acting_user(request), has_scored=seen.mine is not None)
    more = {name: getattr(item, name) for name in ("gold_answers", "entity")}
    # Who answered, and whether it could know, is no business of whoever scores blind.
    is_member = acting_user(request).has_role("member")
    more |= {"source_model": item.source_model if is_member else "", "knowledge": item.knowledge if is_member else None}
    more["metadata"] = selectors.metadata_seen(item=item, user=acting_user(request))
    if selectors.sees_others(seen=seen, metadata=more["metadata"], user=acting_user(request)):
        services.scores_shown(items=[item.pk], actor=acting_user(request))
    more["flags"] = [{"id": one.pk, "reason": one.reason, "note": one.note} for one in selectors.open_flags(item=item)]
    scores = [ScoreOut.from_orm(score).dict() for score in (seen.mine, *seen.others) if score]
    teachers = asdict(seen.teachers) if seen.teachers else None
    return about | more | {"scores": scores, "teachers": teachers, "hidden": seen.hidden}


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
