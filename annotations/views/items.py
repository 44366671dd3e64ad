"""The Items pages: list, one item, flags."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import BulkAction, Flag, Item
from annotations.selectors import ItemFilter, ItemPage, SearchRefused
from annotations.selectors.chains import chains_of
from annotations.selectors.item_filter import LEFT_OUT, knowledge_labels, sorts_for, states_for
from annotations.selectors.provenance import uses_of_item
from annotations.selectors.teachers import evidence_shown

PAGE_SIZE = 50
NO_ITEMS = ItemPage(items=[], total=0, is_capped=False)
# What stands behind "More filters".
FURTHER = (
    "source", "tag", "skill", "to", "score_min", "score_max", "spread", "confidence_min", "confidence_max", "knowledge",
    "iteration", "since",
)  # fmt: skip


@require_GET
@role_required("annotator")
def item_list(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    wanted = selectors.item_filter(values=request.GET.dict(), user=user)
    context: dict[str, Any] = {"wanted": wanted, "chips": selectors.item_chips(wanted=wanted)}
    try:
        page = _page(request, wanted, user)
    except SearchRefused as refused:
        page, context["refusal"] = NO_ITEMS, str(refused)
    shown = selectors.shown_rows(items=page.items, user=user)
    services.scores_shown(items=shown.revealed, actor=user)
    context |= {
        "page": page,
        "rows": shown.rows,
        "left_out": LEFT_OUT.get(wanted.sort, ""),
        "may_change": user.has_role("member"),
    }
    if request.htmx:  # type: ignore[attr-defined]
        answer = render(request, "annotations/_item_table.html", context | _offered(wanted, user))
        # The address without what was left empty.
        answer["HX-Push-Url"] = f"{reverse('annotations:item-list')}{'?' * bool(wanted.query)}{wanted.query}"
        return answer
    return render(request, "annotations/item_list.html", context | _offered(wanted, user) | _asked(request, wanted, user))


def _page(request: HttpRequest, wanted: ItemFilter, user: User) -> ItemPage:
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    place = selectors.place_read(text=before or after, wanted=wanted, backwards=bool(before)) if before or after else None
    page = selectors.item_page(wanted=wanted, user=user, size=PAGE_SIZE, place=place)
    # What stood before this place has gone in the meantime: the start is what is left.
    return page if page.items or place is None else selectors.item_page(wanted=wanted, user=user, size=PAGE_SIZE)


def _offered(wanted: ItemFilter, user: User) -> dict[str, Any]:
    """What can be done to many items."""
    if not user.has_role("member"):
        return {}
    return {
        "tags": selectors.tags(),
        "skills": selectors.skills(project=wanted.project),
        "people": User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)[:500],
        "priorities": range(2, services.HIGHEST_PRIORITY + 1),
    }


def _asked(request: HttpRequest, wanted: ItemFilter, user: User) -> dict[str, Any]:
    """What can be asked for, and what was done just now."""
    did = request.GET.get("did", "")
    mine = BulkAction.objects.filter(actor=user, pk=did[:18]) if did.isascii() and did.isdigit() else BulkAction.objects.none()
    return {
        "states": states_for(user),
        "sorts": sorts_for(user),
        "knowledge": knowledge_labels(),
        "projects": selectors.project_list(),
        "sources": selectors.source_models(project=wanted.project),
        "views": selectors.saved_views(user=user) if user.has_role("member") else [],
        "is_further": any(name in wanted.asked for name in FURTHER),
        "did": selectors.bulk_list().filter(pk__in=mine).first(),
    }


@require_GET
@role_required("annotator")
def item_detail(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in_user(request)
    item = get_object_or_404(Item.objects.select_related("project__rubric_version"), pk=pk)
    seen = selectors.scores_seen(item=item, user=user)
    metadata = selectors.metadata_seen(item=item, user=user)
    if selectors.sees_others(seen=seen, metadata=metadata, user=user):
        services.scores_shown(items=[item.pk], actor=user)
    rankings = selectors.rankings_seen(item=item, user=user)
    if rankings and rankings.revealing:
        services.scores_shown(items=rankings.revealing, actor=user)
    context = {
        "item": item,
        "seen": seen,
        "rankings": rankings,
        "ranking_history": selectors.ranking_history(item=item, user=user) if rankings else [],
        "chain": selectors.chain_of(item=item),
        "metadata": metadata,
        "rubric": item.project.rubric_version.shown,
        "history": selectors.score_history(item=item, user=user),
        "flags": selectors.open_flags(item=item),
        "uses": uses_of_item(item=item) if user.has_role("member") else [],
        "lines": chains_of(item) if user.has_role("member") and not seen.hidden else [],
        "evidence": evidence_shown(item) if user.has_role("member") and not seen.hidden else [],
    }
    return render(request, "annotations/item_detail.html", context)


@require_POST
@role_required("member")
def item_reveal(request: HttpRequest, pk: int) -> HttpResponse:
    item = get_object_or_404(Item, pk=pk)
    services.item_reveal(item=item, actor=signed_in_user(request))
    return redirect(item)


@require_POST
@role_required("member")
def flag_resolve(request: HttpRequest, pk: int) -> HttpResponse:
    flag = get_object_or_404(Flag.objects.select_related("item"), pk=pk)
    services.flag_resolve(flag=flag, actor=signed_in_user(request))
    return redirect(flag.item)
