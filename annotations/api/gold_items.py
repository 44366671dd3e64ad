"""Gold items over HTTP. Not gold answers, which are texts: those are scored by `POST /projects/{slug}/gold`."""

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from annotations import services
from annotations.api.common import Text, acting_user, project_of
from annotations.models import Item
from annotations.selectors.gold_items import gold_candidates, gold_figures, gold_item_list, suggested_references
from annotations.services.gold_items import GoldRefused, gold_clear, gold_set

router = Router(tags=["annotations"])
MOST = 1000


class GoldItemOut(Schema):
    item: int
    score: float
    note: str
    qualification: bool
    people: int = Field(description="Who scored it since it became gold.")
    right: int
    deviation: float | None = Field(description="Mean of what people gave less the reference.")
    cannot_verify: int
    is_doubtful: bool = Field(description="Hardly anybody gives the reference: it may be wrong.")


class GoldItemIn(Schema):
    score: float = Field(ge=-2, le=2)
    note: Text = Field(default="", max_length=20_000, description="Why; newcomers read it.")
    qualification: bool = Field(default=False, description="Newcomers score it first, with feedback.")


class GoldCandidateOut(Schema):
    item: int
    score: float | None
    note: str
    decided: bool
    people: int


@router.get("/projects/{slug}/gold-items", response=list[GoldItemOut], auth=ApiAuth("member"))
def gold_items(request: HttpRequest, slug: Text) -> list[dict[str, Any]]:
    """At most 1,000. Once you have seen the references, these items no longer come to you."""
    items = list(gold_item_list(project=project_of(slug))[:MOST])
    services.scores_shown(items=[item.pk for item in items], actor=acting_user(request))
    return [
        {
            "item": one.item.pk,
            "score": one.item.gold_score,
            "note": one.item.gold_note,
            "qualification": one.item.is_qualification,
            "people": one.people,
            "right": one.right,
            "deviation": one.deviation,
            "cannot_verify": one.unsure,
            "is_doubtful": one.is_doubtful,
        }
        for one in gold_figures(items=items)
    ]


@router.get("/projects/{slug}/gold-items/candidates", response=list[GoldCandidateOut], auth=ApiAuth("member"))
def candidates(request: HttpRequest, slug: Text) -> list[dict[str, Any]]:
    """Items that were decided, or on which several people agree. They count as shown to you."""
    items = gold_candidates(project=project_of(slug))
    services.scores_shown(items=[item.pk for item in items], actor=acting_user(request))
    told = suggested_references(items=items)
    return [
        {
            "item": item.pk,
            "score": told[item.pk].overall if item.pk in told else None,
            "note": told[item.pk].critique if item.pk in told else "",
            "decided": item.adjudicated_at is not None,
            "people": item.people_scores,
        }
        for item in items
    ]


@router.put("/items/{pk}/gold", response={204: None}, auth=ApiAuth("member"))
def gold_item_set(request: HttpRequest, pk: int, wanted: GoldItemIn) -> Status[None]:
    """Make an item gold, or change its reference."""
    try:
        gold_set(item=get_object_or_404(Item, pk=pk), actor=acting_user(request), **wanted.dict())
    except GoldRefused as refused:
        raise HttpError(422, str(refused)) from refused
    services.scores_shown(items=[pk], actor=acting_user(request))
    return Status(204, None)


@router.delete("/items/{pk}/gold", response={204: None}, auth=ApiAuth("member"))
def gold_item_clear(request: HttpRequest, pk: int) -> Status[None]:
    """Make a gold item an ordinary one again."""
    gold_clear(item=get_object_or_404(Item, pk=pk), actor=acting_user(request))
    return Status(204, None)
