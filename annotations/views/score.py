"""The scoring page. Every action works as a plain form; with JavaScript the page asks for JSON, and swaps the item
that it has already loaded while the server takes the score.
"""

import time
from math import inf
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.forms.scores import ScoreForm, UndoForm
from annotations.models import Item, Project, Score
from annotations.selectors.revocations import rubric_revocation
from annotations.services import ScoringRefused
from annotations.views.desk import form_context, page_context
from annotations.views.modes import MODES
from annotations.views.qualification import feedback_told


@require_GET
@role_required("annotator")
def score(request: HttpRequest) -> HttpResponse:
    """To the project where this person's scores are wanted."""
    project = selectors.next_project(user=signed_in_user(request))
    projects = selectors.scoring_projects()
    if project or len(projects) == 1:
        return redirect("annotations:score-project", slug=(project or projects[0]).slug)
    any_item = any(one.task_count for one in projects)
    return render(request, "annotations/score_nothing.html", {"projects": projects, "any_item": any_item})


@require_GET
@role_required("annotator")
def score_project(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in_user(request)
    project = _project(slug)
    handout = services.item_handout(project=project, actor=user)
    context = page_context(project=project, user=user) | {"reason": handout.reason}
    context["is_revoked"] = rubric_revocation(project.rubric_version) is not None
    if handout.item:
        context |= form_context(item=handout.item, project=project, user=user)
    return render(request, "annotations/score.html", context)


@require_GET
@role_required("annotator")
def score_next(request: HttpRequest, slug: str) -> JsonResponse:
    """The item after the one on the page, for loading ahead."""
    return _next(request, _project(slug), signed_in_user(request), request.GET.getlist("besides"))


@require_POST
@role_required("annotator")
def score_submit(request: HttpRequest, pk: int) -> HttpResponse:
    user, item = signed_in_user(request), item_at_hand(pk)
    form = ScoreForm(request.POST, rubric=item.project.rubric_version.rubric)
    if not form.is_valid():
        return refuse(request, item.project.slug, first_errors(form), item)
    data = form.cleaned_data
    try:
        given = services.score_submit(
            item=item,
            actor=user,
            submission=data["submission"],
            overall=None if data["cannot_verify"] else data["overall"],
            dimensions=form.dimensions,
            critique=data["critique"],
            spans=data["spans"] if item.project.asks_spans else (),
            revised_answer=data["revised_answer"] if item.project.mode == Project.Mode.REVIEW else "",
            cannot_verify=data["cannot_verify"],
            seconds=time_taken(data["seconds"], request),
        )
    except ScoringRefused as refused:
        return refuse(request, item.project.slug, str(refused), item)
    return go_on(request, item, user, score=given)


@require_POST
@role_required("annotator")
def score_skip(request: HttpRequest, pk: int) -> HttpResponse:
    user, item = signed_in_user(request), item_at_hand(pk)
    services.item_skip(item=item, actor=user)
    return go_on(request, item, user)


@require_POST
@role_required("annotator")
def score_flag(request: HttpRequest, pk: int) -> HttpResponse:
    user, item = signed_in_user(request), item_at_hand(pk)
    try:
        services.item_flag(item=item, actor=user, reason=request.POST.get("reason", ""), note=request.POST.get("note", "")[:2000])
    except ScoringRefused as refused:
        return refuse(request, item.project.slug, str(refused), item)
    return go_on(request, item, user)


@require_POST
@role_required("annotator")
def score_draft(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep what is typed so far. 204 also when it is no longer wanted: the item has been scored since."""
    user, item = signed_in_user(request), item_at_hand(pk)
    post = request.POST
    data = {
        "critique": post.get("critique", "").replace("\x00", "")[:20_000],
        "seconds": _number(post.get("seconds")),
        **MODES[item.project.mode].draft(post, item.project),
    }
    services.draft_save(item=item, actor=user, data=data)
    return HttpResponse(status=204)


@require_POST
@role_required("annotator")
def score_undo(request: HttpRequest, slug: str) -> HttpResponse:
    """Take back the last score, skip or flag; the item comes back with what was written."""
    user, project = signed_in_user(request), _project(slug)
    form = UndoForm(request.POST)
    if not form.is_valid():
        return refuse(request, slug, first_errors(form))
    try:
        item = services.score_undo(project=project, actor=user, request=form.cleaned_data["request"])
    except ScoringRefused as refused:
        return refuse(request, slug, str(refused))
    again = item if item and selectors.is_held(item=item, user=user) else None
    if again:
        said = _("Taken back: here it is again, with what you wrote.")
    elif item:
        said = _("Taken back: item %(number)s is as it was before.") % {"number": item.pk}
    else:
        said = _("There is nothing to take back.")
    if not _wants_json(request):
        messages.info(request, said)
        return redirect("annotations:score-project", slug=slug)
    return JsonResponse(_answer(request, project, user, again) | {"said": said})


def go_on(request: HttpRequest, item: Item, user: User, *, score: Score | None = None) -> HttpResponse:
    """To the next item; after a score of a qualification item by way of what is right about it. From a form that changes what
    was given before (it says `back`), to the list of one's own.
    """
    if request.POST.get("back"):
        messages.success(request, _("Item %(number)s is changed.") % {"number": item.pk})
        mine = reverse("annotations:mine")
        return JsonResponse({"back": mine}) if _wants_json(request) else redirect(mine)
    told = feedback_told(score=score, user=user) if score and item.is_qualification else None
    if not _wants_json(request):
        if told:
            return render(request, "annotations/feedback.html", told)
        return redirect("annotations:score-project", slug=item.project.slug)
    feedback = render_to_string("annotations/_feedback.html", told, request) if told else ""
    return _next(request, item.project, user, [str(item.pk), *request.POST.getlist("besides")], feedback)


def _next(request: HttpRequest, project: Project, user: User, besides: list[str], feedback: str = "") -> JsonResponse:
    handout = services.item_handout(
        project=project, actor=user, besides=[number for one in besides if (number := _count(one)) is not None]
    )
    answer = _answer(request, project, user, handout.item, nothing_written=not handout.was_held)
    return JsonResponse(answer | {"reason": handout.reason, "feedback": feedback})


def _answer(
    request: HttpRequest, project: Project, user: User, item: Item | None, *, nothing_written: bool = False
) -> dict[str, Any]:
    progress = selectors.project_progress(project=project, user=user)
    # An item that nobody has held before has no draft: not looking for one is a statement less for every score.
    standing: dict[str, Any] | None = {} if nothing_written else None
    context = form_context(item=item, project=project, user=user, standing=standing) if item else {}
    return {
        "item": item.pk if item else None,
        "html": render_to_string("annotations/_scoring.html", context, request) if item else "",
        "progress": {"mine": progress.mine, "done": progress.done, "items": progress.items},
    }


def refuse(request: HttpRequest, slug: str, reason: str, item: Item | None = None) -> HttpResponse:
    if _wants_json(request):
        return JsonResponse({"error": reason, "item": item.pk if item else None}, status=422)
    messages.error(request, reason)
    if item and request.POST.get("back"):
        return redirect("annotations:score-change", pk=item.pk)
    return redirect("annotations:score-project", slug=slug)


def first_errors(form: Form) -> str:
    """What is wrong with each field, in one line."""
    return " ".join(f"{form[name].label}: {errors[0]}" for name, errors in form.errors.items())


def _project(slug: str) -> Project:
    return get_object_or_404(Project.objects.select_related("rubric_version"), slug=slug)


def item_at_hand(pk: int) -> Item:
    counts = ("item_count", "gold_count", "comparison_count")
    project = ("slug", "mode", "asks_spans", *counts, "raters_per_item", "guidelines", "rubric_version__content_hash")
    columns = ["is_qualification", *(f"project__{name}" for name in project)]
    # Deleted ones too: the service says so in words.
    return get_object_or_404(Item.every.select_related("project__rubric_version").only(*columns), pk=pk)


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"


def time_taken(seconds: float | None, request: HttpRequest) -> float | None:
    """What the page counted; without JavaScript the time since it was made."""
    made = _count(request.POST.get("shown_at", ""))
    return seconds if seconds is not None or made is None else time.time() - made


def _count(text: str) -> int | None:
    """A number as the database counts: digits, and not too many of them."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def _number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if 0 <= number < inf else 0.0
