"""The adjudication desk: disputed items, one after the other, with all that was said about them."""

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.forms.adjudication import DecisionForm
from annotations.models import Item, Project
from annotations.selectors.adjudication import decision_list, decision_reasons, disputed_items, disputed_next, voices
from annotations.selectors.leads import tab_counts
from annotations.selectors.revocations import revoked_among
from annotations.services.adjudication import (
    AdjudicationRefused,
    Reason,
    adjudicate,
    adjudication_undo,
    decision_of,
    item_send_back,
)
from annotations.services.gold_items import GoldRefused, gold_set

PAGE_SIZE = 50
DIMENSION_KEYS = "qwertyuiop"
REASON_KEYS = "67890"


@require_GET
@role_required("member")
def adjudicate_next(request: HttpRequest, slug: str) -> HttpResponse:
    """To the most disputed item, or the one after `?after=`; where there is none, how that came."""
    project = get_object_or_404(selectors.project_list(), slug=slug)
    number = request.GET.get("after", "")
    after = Item.objects.filter(project=project, pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
    item = disputed_next(project=project, after=after)
    done = request.GET.get("done", "")
    if item is not None:
        query = f"?done={done}" if done.isdecimal() else ""
        return redirect(reverse("annotations:adjudicate-item", args=[slug, item.pk]) + query)
    context = {
        "project": project,
        "tabs": tab_counts(project=project),
        "left": disputed_items(project=project).count(),
        "decided": decision_list(project=project).count(),
        "done": _done_before(project, done),
    }
    return render(request, "annotations/adjudicate_nothing.html", context)


@require_http_methods(["GET", "POST"])
@role_required("member")
def adjudicate_item(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    project = get_object_or_404(selectors.project_list(), slug=slug)
    item = get_object_or_404(Item, project=project, pk=pk)
    user = signed_in_user(request)
    rubric = project.rubric_version.rubric
    form = DecisionForm(request.POST or None, rubric=rubric)
    if request.method == "POST" and form.is_valid():
        try:
            _decide(item, user, form)
        except (AdjudicationRefused, GoldRefused) as refused:
            form.add_error(None, str(refused))
        else:
            return redirect(reverse("annotations:adjudicate", args=[slug]) + f"?done={item.pk}")
    services.scores_shown(items=[item.pk], actor=user)
    context = _context(request, project, item) | {"form": form}
    return render(request, "annotations/adjudicate_item.html", context, status=422 if form.is_bound else 200)


def _decide(item: Item, user: User, form: DecisionForm) -> None:
    data = form.cleaned_data
    decision = adjudicate(
        item=item,
        actor=user,
        submission=data["submission"],
        overall=None if data["cannot_verify"] else data["overall"],
        dimensions=form.dimensions,
        critique=data["critique"],
        reason=data["reason"],
        cannot_verify=data["cannot_verify"],
        instead_of=data["instead_of"],
    )
    if data["gold"] and decision.overall is not None:
        gold_set(
            item=item, score=decision.overall, note=decision.critique, qualification=data["gold"] == "qualification", actor=user
        )


def _context(request: HttpRequest, project: Project, item: Item) -> dict[str, Any]:
    told = voices(item=item)
    rubric = project.rubric_version.rubric
    decision = decision_of(item=item)
    first = request.POST if request.method == "POST" else {}
    return {
        "project": project,
        "tabs": tab_counts(project=project),
        "item": item,
        "voices": told,
        "rubric": rubric,
        "judged": sorted({name for voice in told for name in voice.score.dimensions}, key=_place(rubric.dimension_ids)),
        "several_versions": len({voice.score.rubric_version_id for voice in told}) > 1,
        "any_marks": any(voice.marks for voice in told),
        "named": "names" in request.GET,
        "decision": decision,
        "submission": first.get("submission") or uuid4(),
        "dimension_keys": list(zip(rubric.dimensions, DIMENSION_KEYS, strict=False)),
        "reasons": list(zip(Reason.choices, REASON_KEYS, strict=True)),
        "values": (-2, -1, 0, 1, 2),
        "done": _done_before(project, request.GET.get("done", "")),
    }


def _place(order: tuple[str, ...]) -> Any:
    return lambda name: (order.index(name) if name in order else len(order), name)


def _done_before(project: Project, number: str) -> Item | None:
    """The item that was decided just now, for taking it back."""
    if not number.isdecimal() or len(number) > 18:
        return None
    return Item.objects.filter(project=project, pk=int(number), adjudicated_at__isnull=False).first()


@require_POST
@role_required("member")
def adjudicate_send_back(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    item = get_object_or_404(Item, project__slug=slug, pk=pk)
    try:
        item_send_back(item=item, actor=signed_in_user(request))
    except AdjudicationRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"Item {pk} goes to one more person, before others.")
    done = request.POST.get("done", "")
    return redirect(reverse("annotations:adjudicate", args=[slug]) + (f"?done={done}" if done.isdecimal() else ""))


@require_POST
@role_required("member")
def adjudicate_undo(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    item = get_object_or_404(Item, project__slug=slug, pk=pk)
    try:
        adjudication_undo(item=item, actor=signed_in_user(request), also_gold="also_gold" in request.POST)
    except AdjudicationRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"The decision on item {pk} is taken back.")
    return redirect("annotations:adjudicate-item", slug=slug, pk=pk)


@require_GET
@role_required("member")
def decision_list_page(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(selectors.project_list(), slug=slug)
    page = Paginator(decision_list(project=project), PAGE_SIZE).get_page(request.GET.get("page"))
    counted = decision_reasons(project=project)
    labels = dict(Reason.choices)
    services.scores_shown(items=[score.item_id for score in page.object_list], actor=signed_in_user(request))
    context = {
        "project": project,
        "tabs": tab_counts(project=project),
        "page": page,
        "labels": labels,
        "reasons": [(label, counted.get(value, 0)) for value, label in Reason.choices],
        "most": max(counted.values(), default=0),
        "revoked": revoked_among(score.item_id for score in page.object_list),
    }
    return render(request, "annotations/decision_list.html", context)
