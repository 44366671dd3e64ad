"""Chat over HTTP."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from accounts.models import User
from annotations.models import Project
from evaluation.chatting import selectors
from evaluation.chatting.asking import Asked, Done, Failed, message, replies_now, talker_of
from evaluation.chatting.conversation import ChatRefused, Wording, unsealed
from evaluation.chatting.events import reply_document, reply_stream
from evaluation.chatting.scoring import reply_score
from evaluation.chatting.services import ServingRefused, serving_start, serving_stop

router = Router(tags=["chat"])
CONVERSATION = "As it came with the last reply; left out, a new one begins."


class ServeIn(Schema):
    models: list[str] = Field(description="Names of models of this site; one job serves all.", min_length=1, max_length=8)
    tag: str = Field("", description="Hardware; empty: what there is.", max_length=20)


class StopIn(Schema):
    model: str


class MessageIn(Wording):
    model: str = Field(description="A model of this site, which must be served, or an endpoint.")
    text: str
    conversation: str = Field("", description=CONVERSATION)
    stream: bool = Field(True, description="Server-sent events: `piece`s, then `done` or `failed`. Else the whole reply as JSON.")


class ReplyScoreIn(Schema):
    conversation: str = Field(description="As it came with the reply.")
    turn: int = Field(description="The reply's number in it, as it came with the reply.")
    project: str = Field(description="The project's slug.")


@router.get("/chat/models", auth=ApiAuth("member"))
def chat_models(request: HttpRequest) -> list[dict[str, Any]]:
    """Models and endpoints that can be chatted with. `state` of a model of this site: none, waiting or ready."""
    found = []
    for one in selectors.chat_models():
        serving = None if one.kind == "endpoint" else selectors.serving_of(one.name)
        found.append(one.described() | ({"state": serving.state} if serving else {"state": "ready"}))
    return found


@router.get("/chat/serving", auth=ApiAuth("member"))
def chat_serving(request: HttpRequest) -> list[dict[str, Any]]:
    """Models of this site that are served, or on their way."""
    return [one.described() for one in selectors.servings()]


@router.post("/chat/serving", response={200: list[dict[str, Any]], 201: list[dict[str, Any]]}, auth=ApiAuth("member"))
def chat_serve(request: HttpRequest, wanted: ServeIn) -> Status[list[dict[str, Any]]]:
    """Have a worker serve models until nobody asks them any more. 200: they are served, or on their way, already."""
    try:
        job = serving_start(names=wanted.models, actor=request.auth, tag=wanted.tag)  # type: ignore[attr-defined]
    except ServingRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return Status(200 if job is None else 201, [selectors.serving_of(name).described() for name in dict.fromkeys(wanted.models)])


@router.post("/chat/serving/stop", auth=ApiAuth("member"))
def chat_serve_stop(request: HttpRequest, wanted: StopIn) -> dict[str, Any]:
    """End the job that serves a model, with all that it serves."""
    job = serving_stop(name=wanted.model, actor=request.auth)  # type: ignore[attr-defined]
    return {"job": job.pk if job else None}


@router.post("/chat/messages", auth=ApiAuth("member"))
def chat_message(request: HttpRequest, wanted: MessageIn) -> Any:
    """Send a message. Each reply comes with its `conversation`, to be sent along with the next message."""
    actor: User = request.auth  # type: ignore[attr-defined]
    try:
        before = unsealed(wanted.conversation) if wanted.conversation else None
        asked = message(talker_of(wanted.model, actor=actor), wanted.text, wording=wanted, before=before)
    except ChatRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return reply_stream(request, [asked], actor=actor) if wanted.stream else _whole(asked, actor)


def _whole(asked: Asked, actor: User) -> HttpResponseBase | dict[str, Any]:
    last = list(replies_now([asked], actor=actor))[-1]
    if isinstance(last, Failed):
        raise HttpError(502, last.reason)
    assert isinstance(last, Done)
    return reply_document(last.conversation)


@router.post("/chat/scores", response={200: dict[str, Any], 201: dict[str, Any]}, auth=ApiAuth("member"))
def chat_score(request: HttpRequest, wanted: ReplyScoreIn) -> Status[dict[str, Any]]:
    """Put a reply into a project to be scored. 200: it was there already."""
    project = get_object_or_404(Project, slug=wanted.project)
    try:
        conversation = unsealed(wanted.conversation)
        scored = reply_score(conversation=conversation, turn=wanted.turn, project=project, actor=request.auth)  # type: ignore[attr-defined]
    except ChatRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return Status(201 if scored.is_new else 200, scored.described())
