"""One's own scores: all of them, and one of them again at the desk."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import Item, Project, Ranking
from annotations.selectors import OwnScore
from annotations.views.desk import form_context, page_context

PAGE_SIZE = 25


@require_GET
@role_required("annotator")
def mine(request: HttpRequest) -> HttpResponse:
    """What one has given, newest first, with the versions before; and how one gets on."""
    user = signed_in_user(request)
    project = Project.objects.filter(slug=request.GET.get("project", "").replace("\x00", "")).first()
    decisions = selectors.decisions_on_mine(user=user)
    # Before the list says what can still be changed: who reads a decision has seen others' scores.
    services.scores_shown(items=[one.item.pk for one in decisions], actor=user)
    page = Paginator(selectors.mine_list(user=user, project=project), PAGE_SIZE).get_page(request.GET.get("page"))
    together, *projects = selectors.own_progress(user=user)
    context = {
        "page": page,
        "shown": selectors.mine_shown(rows=list(page.object_list), user=user),
        "project": project,
        "together": together,
        "projects": projects,
        "figures": selectors.own_figures(user=user),
        "decisions": decisions,
    }
    return render(request, "annotations/mine.html", context)


@require_GET
@role_required("annotator")
def score_change(request: HttpRequest, pk: int) -> HttpResponse:
    """The desk with one item and what one has given it; submitting replaces that."""
    user = signed_in_user(request)
    item = get_object_or_404(Item.every.select_related("project__rubric_version"), pk=pk)
    given = selectors.mine_of(item=item, user=user)
    if refusal := _refusal(given):
        messages.warning(request, refusal)
        return redirect("annotations:mine")
    assert given is not None
    context = page_context(project=item.project, user=user) | form_context(
        item=item, project=item.project, user=user, standing=_standing(given)
    )
    return render(request, "annotations/score.html", context | {"changing": True})


def _refusal(given: OwnScore | None) -> str:
    if given is None:
        return _("You have not scored that item, so there is nothing to change.")
    if given.item.deleted_at is not None:
        return _("Item %(number)s has been deleted in the meantime.") % {"number": given.item.pk}
    if not given.may_change:
        return _("You have seen the others' scores of item %(number)s, so yours stands.") % {"number": given.item.pk}
    return ""


def _standing(given: OwnScore) -> dict[str, Any]:
    """As a draft would be."""
    one = given.one
    shared = {"critique": one.critique, "given_at": one.given_at}
    if isinstance(one, Ranking):
        return shared | {"shown": one.shown, "ranks": one.ranks, "all_bad": one.all_bad}
    names = ("overall", "dimensions", "cannot_verify", "spans", "revised_answer")
    return shared | {name: getattr(one, name) for name in names}
