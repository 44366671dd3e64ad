"""Gold items: the list with how people did, candidates, and setting one."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import Item, Project
from annotations.selectors.gold_items import gold_candidates, gold_figures, gold_item_list, suggested_references
from annotations.selectors.leads import project_warnings, tab_counts
from annotations.services.gold_items import GoldRefused, gold_clear, gold_set

PAGE_SIZE = 50
VALUES = (2, 1, 0, -1, -2)


@require_GET
@role_required("member")
def gold_item_list_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Whoever sees the references cannot be measured by them: the items are noted as shown."""
    project = get_object_or_404(selectors.project_list(), slug=slug)
    page = Paginator(gold_item_list(project=project), PAGE_SIZE).get_page(request.GET.get("page"))
    items = list(page.object_list)
    services.scores_shown(items=[item.pk for item in items], actor=signed_in_user(request))
    context = {
        "project": project,
        "tabs": tab_counts(project=project),
        "warnings": project_warnings(project=project),
        "page": page,
        "figures": gold_figures(items=items),
        "rubric": project.rubric_version.rubric,
    }
    return render(request, "annotations/gold_item_list.html", context)


@require_http_methods(["GET", "POST"])
@role_required("member")
def gold_item_candidates(request: HttpRequest, slug: str) -> HttpResponse:
    """Items that were decided or that people agree on; those that are ticked become gold."""
    project = get_object_or_404(selectors.project_list(), slug=slug)
    user = signed_in_user(request)
    if request.method == "POST":
        _set_many(request, project, user)
        return redirect("annotations:gold-item-list", slug=slug)
    items = gold_candidates(project=project)
    services.scores_shown(items=[item.pk for item in items], actor=user)
    told = suggested_references(items=items)
    context = {
        "project": project,
        "tabs": tab_counts(project=project),
        "candidates": [(item, told.get(item.pk)) for item in items],
        "values": VALUES,
    }
    return render(request, "annotations/gold_item_candidates.html", context)


def _set_many(request: HttpRequest, project: Project, user: User) -> None:
    chosen = [int(pk) for pk in request.POST.getlist("item") if pk.isdecimal() and len(pk) < 19]
    set_now, refusals = 0, []
    for item in Item.objects.filter(project=project, pk__in=chosen).order_by("pk"):
        try:
            score = _score(request.POST.get(f"score_{item.pk}", ""))
            note = request.POST.get(f"note_{item.pk}", "")
            gold_set(item=item, score=score, note=note, qualification=f"qualification_{item.pk}" in request.POST, actor=user)
            set_now += 1
        except GoldRefused as refused:
            refusals.append(f"Item {item.pk}: {refused}")
    if set_now:
        messages.success(request, f"{set_now} gold item{'s' if set_now > 1 else ''} added.")
    for refusal in refusals or ([] if set_now else ["Tick the items that should become gold."]):
        messages.error(request, refusal)


@require_POST
@role_required("member")
def gold_item_set(request: HttpRequest, pk: int) -> HttpResponse:
    item = get_object_or_404(Item, pk=pk)
    user = signed_in_user(request)
    try:
        gold_set(
            item=item,
            score=_score(request.POST.get("score", "")),
            note=request.POST.get("note", ""),
            qualification="qualification" in request.POST,
            actor=user,
        )
    except GoldRefused as refused:
        messages.error(request, str(refused))
    else:
        services.scores_shown(items=[item.pk], actor=user)
        messages.success(request, f"Item {pk} is a gold item.")
    return redirect(item)


@require_POST
@role_required("member")
def gold_item_clear(request: HttpRequest, pk: int) -> HttpResponse:
    item = gold_clear(item=get_object_or_404(Item, pk=pk), actor=signed_in_user(request))
    messages.success(request, f"Item {pk} is an ordinary item again.")
    return redirect(item)


def _score(text: str) -> float:
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        raise GoldRefused("Say which score is right.") from None
