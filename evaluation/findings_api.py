"""The capability guard's items, and the validator for any answers, over HTTP."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from evaluation.guard.items import TITLES, guard_set
from evaluation.validator.answers import said_of_records
from evaluation.validator.report import validator_report

AT_MOST = 1_000
"""More answers are for `rlwhf validate-answers` or an evaluation: nobody's request should hold a web process for long."""
router = Router(tags=["evaluation"])


class AnswerIn(Schema):
    prompt: str
    answer: str
    id: str | None = None
    entity: str | None = None
    verdict: str | None = None
    known: bool | None = None
    judge: str | None = None
    gold_answer: str | list[str] | None = None
    base_answer: str | None = None
    base_verdict: str | None = None


class AnswersIn(Schema):
    answers: list[AnswerIn] = Field(min_length=1, max_length=AT_MOST)


class GuardOut(Schema):
    version: str
    hash: str
    types: dict[str, str]
    items: list[dict[str, Any]]


@router.get("/guard", response=GuardOut, auth=ApiAuth("member"))
def guard_items(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """The capability guard's items, with their rules and right answers."""
    found = guard_set()
    items = [item.model_dump(mode="json") for item in found.items]
    return {"version": found.version, "hash": found.hash, "types": TITLES, "items": items}


@router.post("/validate-answers", response=dict[str, Any], auth=ApiAuth("member"))
def answers_validate(request: HttpRequest, wanted: AnswersIn) -> dict[str, Any]:  # noqa: ARG001
    """Look through answers for games against a reward. Nothing is kept."""
    try:
        said = said_of_records([one.model_dump() for one in wanted.answers])
    except ValueError as error:
        raise HttpError(422, str(error)) from error
    return validator_report(said).model_dump(mode="json")
