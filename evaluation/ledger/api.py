"""The ledger over HTTP."""

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations.models import Revocation
from annotations.services import RevocationRefused
from evaluation.ledger import selectors, services
from evaluation.ledger.services import Depth, RebuildRefused

router = Router(tags=["ledger"])
TARGET = "person:NAME, teacher:NAME@NUMBER, adjudicator:NAME, gold:gold answers, or rubric:NAME-VERSION."


class RevokeIn(Schema):
    target: str = Field(description=TARGET, max_length=200)
    reason: str = Field(max_length=2000)


class LiftIn(Schema):
    reason: str = Field(max_length=2000)


class RebuildIn(Schema):
    depth: Depth = Field("datasets", description="How far: the datasets; with the runs on them; with their scorecards too.")


@router.get("/ledger", response=list[dict[str, Any]], auth=ApiAuth("member"))
@paginate
def ledger(request: HttpRequest) -> list[dict[str, Any]]:
    """Revocations, newest first, lifted ones too."""
    return [selectors.revocation_document(one) for one in selectors.revocations()]


@router.get("/ledger/preview", auth=ApiAuth("member"))
def ledger_preview(request: HttpRequest, target: str) -> dict[str, Any]:
    """What was made of a target's scores, revoked or not."""
    return selectors.document_of(selectors.consequences_of(_target(target)))


@router.post("/ledger", response={201: dict[str, Any]}, auth=ApiAuth("admin"))
def ledger_revoke(request: HttpRequest, wanted: RevokeIn) -> Status[dict[str, Any]]:
    """Have a rater's scores, or those under a rubric version, count for nothing from now on."""
    try:
        made = services.scores_revoke(target=_target(wanted.target), reason=wanted.reason, actor=request.auth)  # type: ignore[attr-defined]
    except RevocationRefused as refused:
        raise HttpError(409 if refused.field == "target" else 422, str(refused)) from refused
    return Status(201, selectors.revocation_document(made))


@router.get("/ledger/{revocation}", auth=ApiAuth("member"))
def ledger_detail(request: HttpRequest, revocation: int) -> dict[str, Any]:
    """A revocation, what was made of the scores, and its rebuilds."""
    found = _revocation(revocation)
    return {
        **selectors.revocation_document(found),
        "consequences": selectors.document_of(selectors.consequences_of(found.target)),
        "rebuilds": [selectors.rebuild_document(one) for one in selectors.rebuilds_of(found)],
    }


@router.post("/ledger/{revocation}/lift", auth=ApiAuth("admin"))
def ledger_lift(request: HttpRequest, revocation: int, wanted: LiftIn) -> dict[str, Any]:
    """Have the scores count again."""
    try:
        lifted = services.scores_reinstate(revocation=_revocation(revocation), reason=wanted.reason, actor=request.auth)  # type: ignore[attr-defined]
    except RevocationRefused as refused:
        raise HttpError(409 if refused.field == "revocation" else 422, str(refused)) from refused
    return selectors.revocation_document(lifted)


@router.post("/ledger/{revocation}/rebuild", response={201: dict[str, Any]}, auth=ApiAuth("admin"))
def ledger_rebuild(request: HttpRequest, revocation: int, wanted: RebuildIn) -> Status[dict[str, Any]]:
    """Queue what was made with the scores anew, without them."""
    try:
        made = services.rebuild_queue(revocation=_revocation(revocation), actor=request.auth, depth=wanted.depth)  # type: ignore[attr-defined]
    except RebuildRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return Status(201, selectors.rebuild_document(made))


def _target(key: str) -> selectors.Target:
    found = selectors.target_named(key)
    if found is None:
        raise HttpError(404, f"There is no “{key}”; a target is written as {TARGET}")
    return found


def _revocation(pk: int) -> Revocation:
    return get_object_or_404(selectors.revocations(), pk=pk)
