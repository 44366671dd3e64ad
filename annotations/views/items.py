"""The Items pages: list, one item, flags."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import cached_property
from django.views.decorators.http import require_GET, require_POST

from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import Flag, Item, Project
from annotations.selectors import ITEM_STATES, ItemFilter

PAGE_SIZE = 50


class ItemPages(Paginator):  # type: ignore[type-arg]
    """Pages whose number comes from running counts where there are any."""

    wanted: ItemFilter

    @cached_property
    def count(self) -> int:
        return selectors.item_count(items=self.object_list, wanted=self.wanted)  # type: ignore[arg-type]


@require_GET
@role_required("annotator")
def item_list(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    asked = {name: request.GET[name].replace("\x00", "") for name in request.GET}
    project = Project.objects.filter(slug=asked.get("project", "")).first()
    state = asked.get("state", "")
    wanted = ItemFilter(
        project=project,
        text=asked.get("q", "")[:200],
        state=state if state in ITEM_STATES else "",
        source=asked.get("source", ""),
    )
    pages = ItemPages(selectors.item_list(wanted=wanted, user=user), PAGE_SIZE)
    pages.wanted = wanted
    page = pages.get_page(asked.get("page"))
    rows = list(page.object_list)
    rewards = selectors.shown_rewards(items=rows, user=user)
    services.scores_shown(items=rewards.revealed, actor=user)
    context = {
        "page": page,
        "rows": rows,
        "wanted": wanted,
        "rewards": rewards.medians,
        "states": ITEM_STATES,
        "projects": selectors.project_list(),
        "sources": selectors.source_models(project=project),
        "capped": pages.count > selectors.COUNTED_AT_MOST and bool(wanted.text),
        "is_filtered": wanted != ItemFilter(),
    }
    return render(request, "annotations/_item_table.html" if request.htmx else "annotations/item_list.html", context)  # type: ignore[attr-defined]


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
