"""What is one's own at the scoring desk, over HTTP."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from accounts.api_pages import FURTHEST
from annotations import selectors, services
from annotations.api.common import Text, acting_user, project_of
from annotations.desk_keys import ACTIONS
from annotations.models import Ranking, Score
from annotations.selectors import OwnScore
from annotations.services import KeysRefused

router = Router(tags=["annotations"])


class KeyBoundOut(Schema):
    name: str
    label: str = Field(description="What the key does.")
    key: str = Field(description="As browsers name it (KeyboardEvent.key), letters small.")
    default: str
    scope: str = Field(description="When it does so: always (desk), in projects of a mode, or while marking.")


class KeysIn(Schema):
    keys: dict[Text, Text | None] = Field(default_factory=dict, description="By the action's name; null: its usual key.")
    reset: bool = Field(default=False, description="First make every key the usual one.")


def _listed(keys: dict[str, str]) -> list[KeyBoundOut]:
    return [KeyBoundOut(name=one.name, label=one.title, key=keys[one.name], default=one.key, scope=one.scope) for one in ACTIONS]


@router.get("/me/keys", response=list[KeyBoundOut], auth=ApiAuth("annotator"))
def keys_list(request: HttpRequest) -> list[KeyBoundOut]:
    """Your keys of the scoring desk."""
    return _listed(services.keys_of(user=acting_user(request)))


@router.patch("/me/keys", response=list[KeyBoundOut], auth=ApiAuth("annotator"))
def keys_change(request: HttpRequest, given: KeysIn) -> list[KeyBoundOut]:
    """Give actions other keys. All or nothing: refused where two would share one."""
    user = acting_user(request)
    try:
        return _listed(services.keys_change(user=user, keys=given.keys, reset=given.reset, actor=user))
    except KeysRefused as refused:
        raise HttpError(422, str(refused)) from refused


class OwnOut(Schema):
    """A score, or a ranking: then `shown` are items, and `ranks` says where each comes."""

    id: int
    kind: str = Field(description="score or ranking")
    overall: float | None = Field(default=None, description="None is “not scored”, which is never 0.")
    cannot_verify: bool = False
    dimensions: dict[str, float] = Field(default_factory=dict)
    spans: list[dict[str, Any]] = Field(default_factory=list)
    revised_answer: str = ""
    shown: list[int] = Field(default_factory=list)
    ranks: list[int] = Field(default_factory=list)
    all_bad: bool = False
    critique: str
    seconds: float | None
    given_at: datetime


class OwnGivenOut(OwnOut):
    item: int
    project: str
    may_change: bool = Field(description="False once you have been shown others' scores of the item, or it is deleted.")
    earlier: list[OwnOut] = Field(description="What this one replaced, and what you took back; newest first.")


class OwnPageOut(Schema):
    items: list[OwnGivenOut]
    count: int


class OwnFilter(Schema):
    project: Text | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=FURTHEST)


class OwnProgressOut(Schema):
    project: str | None = Field(description="null: all together")
    today: int
    week: int
    total: int
    median_seconds: float | None


def _own(kind: str, one: Score | Ranking) -> dict[str, Any]:
    return {"kind": kind} | {name: getattr(one, name) for name in OwnOut.model_fields if name != "kind" and name in one.__dict__}


def _given(given: OwnScore) -> dict[str, Any]:
    return _own(given.kind, given.one) | {
        "item": given.item.pk,
        "project": given.item.project.slug,
        "may_change": given.may_change,
        "earlier": [_own(given.kind, one) for one in given.earlier],
    }


@router.get("/me/scores", response=OwnPageOut, auth=ApiAuth("annotator"))
def mine(request: HttpRequest, wanted: Query[OwnFilter]) -> dict[str, Any]:
    """What you have scored and ranked, newest first. To change one, submit for its item again."""
    user = acting_user(request)
    rows = selectors.mine_list(user=user, project=project_of(wanted.project) if wanted.project else None)
    shown = list(rows[wanted.offset : wanted.offset + wanted.limit])
    return {"items": [_given(one) for one in selectors.mine_shown(rows=shown, user=user)], "count": rows.count()}


@router.get("/me/progress", response=list[OwnProgressOut], auth=ApiAuth("annotator"))
def own_progress(request: HttpRequest) -> list[dict[str, Any]]:
    """How much you have done today, this week and in all: together, then by project."""
    names = ("today", "week", "total", "median_seconds")
    return [
        {"project": one.project.slug if one.project else None, **{name: getattr(one, name) for name in names}}
        for one in selectors.own_progress(user=acting_user(request))
    ]
