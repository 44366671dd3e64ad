"""Disputed items and decisions over HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from accounts.api_pages import Pages
from annotations import services
from annotations.api.common import Text, acting_user, project_of
from annotations.models import Item, Score
from annotations.selectors.adjudication import decision_list, decision_reasons, disputed_items, voices
from annotations.services.adjudication import (
    LONGEST_CRITIQUE,
    AdjudicationRefused,
    Reason,
    adjudicate,
    adjudication_undo,
    item_send_back,
)

router = Router(tags=["annotations"])


class ShownPages(Pages):
    """Pages of what tells others' scores: whoever gets one has been shown the scores of the items on it."""

    def paginate_queryset(self, queryset: QuerySet[Any], pagination: Any, request: HttpRequest, **params: Any) -> Any:
        page = super().paginate_queryset(queryset, pagination, request, **params)
        shown = [one.pk if isinstance(one, Item) else one.item_id for one in page["items"]]
        services.scores_shown(items=shown, actor=acting_user(request))
        return page


class DisputedOut(Schema):
    item: int = Field(alias="pk")
    spread: float | None
    consensus: float | None
    people_scores: int


class VoiceOut(Schema):
    letter: str
    overall: float | None
    dimensions: dict[str, float]
    critique: str
    spans: list[dict[str, Any]]
    cannot_verify: bool
    rubric: str
    rater: str | None = Field(description="With ?names=true.")
    is_revoked: bool = Field(description="It counts for nothing: the spread is of the others.")


class DisputeOut(Schema):
    item: int
    prompt: list[dict[str, Any]]
    answer: str
    spread: float | None
    scores: list[VoiceOut]


class DecisionIn(Schema):
    submission: UUID = Field(description="Made by you; the same one again gives back the same decision.")
    overall: int | None = Field(default=None, ge=-2, le=2)
    dimensions: dict[str, int] = Field(default_factory=dict)
    critique: Text = Field(default="", max_length=LONGEST_CRITIQUE)
    reason: Text = Field(description="Why people differed: " + ", ".join(Reason.values))
    cannot_verify: bool = False
    instead_of: int | None = Field(default=None, description="The decision that this one replaces.")


class DecisionOut(Schema):
    id: int
    item: int = Field(alias="item_id")
    by: str = Field(alias="rater.name")
    overall: float | None
    dimensions: dict[str, float]
    critique: str
    reason: str = Field(alias="metadata.reason")
    given_at: datetime


@router.get("/projects/{slug}/disputed", response=list[DisputedOut], auth=ApiAuth("member"))
@paginate(ShownPages)
def disputed(request: HttpRequest, slug: Text) -> QuerySet[Item]:
    """Items that wait for a decision, most disputed first. They count as shown to you."""
    return disputed_items(project=project_of(slug)).only("pk", "spread", "consensus", "people_scores")


@router.get("/items/{pk}/dispute", response=DisputeOut, auth=ApiAuth("member"))
def dispute(request: HttpRequest, pk: int, names: bool = False) -> dict[str, Any]:
    """All that was said about an item, without names unless asked for. You can then no longer score it."""
    item = get_object_or_404(Item, pk=pk)
    services.scores_shown(items=[pk], actor=acting_user(request))
    return {
        "item": pk,
        "prompt": item.prompt,
        "answer": item.answer,
        "spread": item.spread,
        "scores": [
            {
                "letter": voice.letter,
                "overall": voice.score.overall,
                "dimensions": voice.score.dimensions,
                "critique": voice.score.critique,
                "spans": voice.score.spans,
                "cannot_verify": voice.score.cannot_verify,
                "rubric": str(voice.score.rubric_version),
                "rater": voice.score.rater.name if names else None,
                "is_revoked": voice.is_revoked,
            }
            for voice in voices(item=item)
        ],
    }


@router.post("/items/{pk}/decision", response={201: DecisionOut}, auth=ApiAuth("member"))
def item_adjudicate(request: HttpRequest, pk: int, given: DecisionIn) -> Status[Score]:
    try:
        return Status(201, adjudicate(item=get_object_or_404(Item, pk=pk), actor=acting_user(request), **given.dict()))
    except AdjudicationRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.delete("/items/{pk}/decision", response={204: None}, auth=ApiAuth("member"))
def decision_undo(request: HttpRequest, pk: int, also_gold: bool = False) -> Status[None]:
    """Take a decision back; one that it had replaced stands again. `also_gold`: also where it has made the item gold."""
    try:
        adjudication_undo(item=get_object_or_404(Item, pk=pk), actor=acting_user(request), also_gold=also_gold)
    except AdjudicationRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(204, None)


@router.post("/items/{pk}/send-back", response={204: None}, auth=ApiAuth("member"))
def send_back(request: HttpRequest, pk: int) -> Status[None]:
    """Ask one more person, before others' turn."""
    try:
        item_send_back(item=get_object_or_404(Item, pk=pk), actor=acting_user(request))
    except AdjudicationRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(204, None)


@router.get("/projects/{slug}/decisions", response=list[DecisionOut], auth=ApiAuth("member"))
@paginate(ShownPages)
def decisions(request: HttpRequest, slug: Text) -> QuerySet[Score]:
    """The decisions that stand, newest first. Their items count as shown to you."""
    return decision_list(project=project_of(slug))


@router.get("/projects/{slug}/decisions/reasons", response=dict[str, int], auth=ApiAuth("member"))
def reasons(request: HttpRequest, slug: Text) -> dict[str, int]:
    """Why people differed, by how often: what the guidelines should say."""
    counted = decision_reasons(project=project_of(slug))
    return {reason: counted.get(reason, 0) for reason in Reason.values}
