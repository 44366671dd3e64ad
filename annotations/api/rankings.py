"""Comparing answers over HTTP."""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from annotations import selectors, services
from annotations.api.common import Text, acting_user, project_of
from annotations.models import Item, Project, Ranking
from annotations.ranks import MOST
from annotations.selectors.rankings import rankings_seen
from annotations.services import ScoringRefused
from annotations.services.comparing import candidates
from annotations.services.raters import person_rater

router = Router(tags=["annotations"])


class CandidateOut(Schema):
    id: int
    answer: str
    stated_confidence: float | None


class ComparisonOut(Schema):
    item: int = Field(description="Under which the ranking is given: POST /items/{item}/rankings.")
    prompt: list[dict[str, Any]]
    answers: list[CandidateOut] = Field(description="In the order in which you are shown them.")


class RankingIn(Schema):
    submission: UUID = Field(description="Made by you; the same one again gives back the same ranking.")
    shown: list[int] = Field(max_length=MOST, description="The answers' numbers as they were shown to you.")
    ranks: list[int] = Field(
        default_factory=list, max_length=MOST, description="Of each of them: 1 is best, equal ranks are a tie."
    )
    all_bad: bool = Field(default=False, description="Then the ranks may be left out.")
    critique: Text = Field(default="", max_length=20_000)
    seconds: float | None = Field(default=None, ge=0)


class RankingOut(Schema):
    id: int
    item: int = Field(alias="item_id")
    rater: str = Field(alias="rater.name")
    shown: list[int]
    ranks: list[int]
    all_bad: bool
    critique: str
    seconds: float | None
    given_at: datetime


class RankingsOut(Schema):
    head: int = Field(description="The item under which this prompt's answers are compared.")
    rankings: list[RankingOut]
    hidden: str = Field(description='"" all are shown; "blind": give yours first; "role": others’ rankings are for members')


class AgreementOut(Schema):
    rankings: int
    raters: int
    pairs: int = Field(description="Pairs of answers on which two people or more voted.")
    votes: int = Field(description="Pairs of such votes.")
    share: float | None = Field(description="Of these, the share that agrees; None where there are none.")
    alpha: float | None = Field(description="Krippendorff’s α, nominal, on who came first; None where it cannot be told.")


@router.get("/projects/{slug}/comparisons/next", response={200: ComparisonOut, 204: None}, auth=ApiAuth("annotator"))
def comparison_next(request: HttpRequest, slug: Text) -> Any:
    """The answers to compare next, held for you; 204 where nothing is left for you."""
    project, user = project_of(slug), acting_user(request)
    if project.mode != Project.Mode.COMPARE:
        raise HttpError(422, "This project asks for no comparisons.")
    item = services.item_next(project=project, actor=user)
    if item is None:
        return Status(204, None)
    return {"item": item.pk, "prompt": item.prompt, "answers": candidates(item=item, rater=person_rater(user=user))}


@router.post("/items/{pk}/rankings", response={201: RankingOut}, auth=ApiAuth("annotator"))
def ranking_submit(request: HttpRequest, pk: int, given: RankingIn) -> Status[Ranking]:
    """Put answers in order. A second ranking of yours replaces the first."""
    item = get_object_or_404(Item, pk=pk)
    try:
        return Status(201, services.ranking_submit(item=item, actor=acting_user(request), **given.dict()))
    except ScoringRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.get("/items/{pk}/rankings", response=RankingsOut, auth=ApiAuth("annotator"))
def ranking_list(request: HttpRequest, pk: int) -> dict[str, Any]:
    """The rankings of an item's prompt that you may see. Having been shown others', you can no longer give or change yours."""
    user = acting_user(request)
    seen = rankings_seen(item=get_object_or_404(Item.objects.select_related("project"), pk=pk), user=user)
    if seen is None:
        raise HttpError(422, "The answers to this prompt are not compared.")
    services.scores_shown(items=seen.revealing, actor=user)
    rankings = [one.ranking for one in ([seen.mine] if seen.mine else []) + seen.others]
    return {"head": seen.head.pk, "rankings": rankings, "hidden": seen.hidden}


@router.get("/projects/{slug}/rankings/agreement", response=AgreementOut, auth=ApiAuth("member"))
def ranking_agreement(request: HttpRequest, slug: Text) -> dict[str, Any]:
    """How far people agree on the order of two answers."""
    return asdict(selectors.project_ranking_agreement(project=project_of(slug)))
