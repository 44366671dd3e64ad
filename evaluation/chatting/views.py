"""The chat page. Without scripts a form posts a message and the page comes back with the whole answers."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from evaluation.chatting.asking import Asked, Done, Failed, message, new_id, replies_now, talker_of
from evaluation.chatting.conversation import ChatRefused, Conversation, sealed
from evaluation.chatting.events import reply_stream
from evaluation.chatting.forms import SIDES, MessageForm, ProjectForm, conversation_in
from evaluation.chatting.scoring import reply_score
from evaluation.chatting.selectors import chat_models, serving_tags, servings_of
from evaluation.chatting.services import ServingRefused, serving_start, serving_stop
from jobs.addresses import number_in

EVENTS = "text/event-stream"


@dataclass
class Side:
    """One column of the page: a model, and what was said with it."""

    number: int
    name: str
    conversation: Conversation | None = None
    failed: str = ""

    @property
    def token(self) -> str:
        return sealed(self.conversation) if self.conversation else ""

    @property
    def turns(self) -> list[dict[str, Any]]:
        said = self.conversation.turns if self.conversation else ()
        return [{"number": number, "turn": one, "is_reply": one.role == "assistant"} for number, one in enumerate(said)]


def _names(data: Any) -> list[str]:
    """The models that were chosen, one or two, each once."""
    chosen = [str(data.get(name, "")).strip() for name in ("model", "other")]
    return list(dict.fromkeys(name for name in chosen if name))[:SIDES]


@require_http_methods(["GET", "POST"])
@role_required("member")
def chat(request: HttpRequest) -> HttpResponseBase:
    """The page; and a message, whose answers are streamed to a script that accepts events, and else shown when they are whole."""
    if request.method == "GET":
        sides = [Side(number, name) for number, name in enumerate(_names(request.GET))]
        return _page(request, sides, MessageForm())
    streams = EVENTS in request.headers.get("Accept", "")
    sides = [Side(number, name) for number, name in enumerate(_names(request.POST))]
    form = MessageForm(request.POST)
    try:
        for side in sides:
            side.conversation = conversation_in(request.POST, side.number)
        asked = _asked(sides, form, signed_in_user(request))
    except ChatRefused as refused:
        if streams:
            return JsonResponse({"reason": str(refused)}, status=422)
        messages.error(request, str(refused))
        return _page(request, sides, form, status=422)
    if streams:
        return reply_stream(request, asked, actor=signed_in_user(request))
    _answer(sides, asked, signed_in_user(request))
    again = MessageForm(initial={name: form.cleaned_data[name] for name in ("system", "temperature", "max_tokens")})
    return _page(request, sides, form if all(side.failed for side in sides) else again)


def _asked(sides: list[Side], form: MessageForm, actor: User) -> list[Asked]:
    """Raises ChatRefused."""
    if not sides:
        raise ChatRefused("Choose a model first.")
    if not form.is_valid():
        raise ChatRefused(" ".join(f"{form[name].label}: {told.as_text()}" for name, told in form.errors.items()))
    both = next((side.conversation.id for side in sides if side.conversation), new_id())
    return [
        message(
            talker_of(side.name, actor=actor), form.cleaned_data["text"], wording=form.wording(), before=side.conversation,
            conversation_id=both,
        )
        for side in sides
    ]  # fmt: skip


def _answer(sides: list[Side], asked: list[Asked], actor: User) -> None:
    for event in replies_now(asked, actor=actor):
        if isinstance(event, Done):
            sides[event.side].conversation = event.conversation
        elif isinstance(event, Failed):
            sides[event.side].failed = event.reason


def _page(request: HttpRequest, sides: list[Side], form: MessageForm, *, status: int = 200) -> HttpResponse:
    names = [side.name for side in sides]
    projects = ProjectForm(initial={"project": request.POST.get("project") or request.GET.get("project")})
    context = {
        "sides": sides,
        "form": form,
        "models": chat_models(),
        "chosen": {"model": names[0] if names else "", "other": names[1] if len(names) > 1 else ""},
        "project": projects["project"],
        "has_projects": projects.fields["project"].queryset.exists(),  # type: ignore[attr-defined]
        "has_begun": any(side.conversation for side in sides),
        **_serving(names),
    }
    return render(request, "evaluation/chat.html", context, status=status)


def _serving(names: list[str]) -> dict[str, Any]:
    found = servings_of(names)
    return {
        "servings": found,
        "unserved": [one.name for one in found if one.state == "none"],
        "is_starting": any(one.state == "waiting" for one in found),
        "tags": serving_tags(),
        "query": _query(names),
    }


@require_GET
@role_required("member")
def chat_serving(request: HttpRequest) -> HttpResponse:
    """How the chosen models are served: a part of the page, asked for again while one is on its way; by itself, the page."""
    if not request.headers.get("HX-Request"):
        return redirect(f"{reverse('chat:chat')}?{_query(_names(request.GET))}")
    return render(request, "evaluation/_chat_serving.html", _serving(_names(request.GET)))


@require_POST
@role_required("member")
def chat_serve(request: HttpRequest) -> HttpResponse:
    """Have a worker serve models."""
    try:
        serving_start(names=request.POST.getlist("serve"), actor=signed_in_user(request), tag=request.POST.get("tag", ""))
    except ServingRefused as refused:
        messages.error(request, str(refused))
    return _back(request)


@require_POST
@role_required("member")
def chat_serve_stop(request: HttpRequest) -> HttpResponse:
    """End the job that serves a model."""
    job = serving_stop(name=request.POST.get("stop", ""), actor=signed_in_user(request))
    told = f"“{job.title}” is {'stopped' if job.has_ended else 'stopping'}." if job else "It is not served any more."
    messages.info(request, told)
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """To the page, with the models that were chosen there."""
    names = _names(QueryDict(request.POST.get("chosen", "")))
    return redirect(f"{reverse('chat:chat')}?{_query(names)}")


def _query(names: list[str]) -> str:
    return urlencode(dict(zip(("model", "other"), names, strict=False)))


@require_POST
@role_required("member")
def chat_score(request: HttpRequest) -> HttpResponse:
    """Put a reply into a project, and go to its scoring desk; a script is told where that is."""
    side, turn = (number_in(part) for part in request.POST.get("reply", "").partition(":")[::2])
    form = ProjectForm(request.POST)
    try:
        project = form.cleaned_data.get("project") if form.is_valid() else None
        conversation = conversation_in(request.POST, side) if side is not None else None
        if project is None:
            raise ChatRefused("Choose a project for the answer.")
        if conversation is None or turn is None:
            raise ChatRefused("There is no such reply.")
        scored = reply_score(conversation=conversation, turn=turn, project=project, actor=signed_in_user(request))
    except ChatRefused as refused:
        if "application/json" in request.headers.get("Accept", ""):
            return JsonResponse({"reason": str(refused)}, status=422)
        messages.error(request, str(refused))
        return redirect("chat:chat")
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse(scored.described(), status=201 if scored.is_new else 200)
    where = "is an item now" if scored.is_new else "was an item already"
    messages.success(request, f"The answer {where}: item {scored.item.pk} of {project}.")
    return redirect(scored.desk if scored.is_theirs else scored.item.get_absolute_url())
