"""What is done to many items at once: carried out, listed, undone; export; saved views."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import BulkAction, SavedView
from annotations.services import BulkRefused, ViewRefused
from annotations.services.item_export import FORMATS
from annotations.streaming import streamed

PAGE_SIZE = 50


@require_POST
@role_required("member")
def item_bulk(request: HttpRequest) -> HttpResponse:
    """Do what the pressed button says to the ticked items, or to all that match."""
    user = signed_in_user(request)
    try:
        record = services.bulk_start(
            action=request.POST.get("action", ""), settings=_settings(request), actor=user, **_which(request)
        )
    except BulkRefused as refused:
        messages.warning(request, str(refused))
        return redirect(_list_address(request))
    return redirect(_list_address(request, did=record.pk))


def _settings(request: HttpRequest) -> dict[str, Any]:
    given = request.POST
    return {
        "tags": given.get("tags", "").split(","),
        "value": given.get("skill" if given.get("action") == "skill" else "priority", ""),
        "people": given.getlist("people"),
        "how": given.get("how", ""),
    }


def _which(request: HttpRequest) -> dict[str, Any]:
    if request.POST.get("all"):
        return {"wanted": _wanted(request)}
    ticked = [number for number in request.POST.getlist("items") if number.isascii() and number.isdigit() and len(number) < 19]
    return {"items": [int(number) for number in ticked]}


def _wanted(request: HttpRequest) -> Any:
    """The filter that the page showed. Raises BulkRefused where some of it holds no more: without it more would match."""
    wanted = selectors.item_filter(values=_query(request), user=signed_in_user(request))
    if wanted.refused:
        raise BulkRefused(" ".join(wanted.refused.values()))
    return wanted


def _query(request: HttpRequest) -> dict[str, str]:
    return QueryDict(request.POST.get("query", "")).dict()


def _list_address(request: HttpRequest, did: int | None = None) -> str:
    wanted = selectors.item_filter(values=_query(request), user=signed_in_user(request))
    query = "&".join(filter(None, [wanted.query, f"did={did}" if did else ""]))
    return f"{reverse('annotations:item-list')}{'?' * bool(query)}{query}"


@require_GET
@role_required("member")
def bulk_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(selectors.bulk_list(user=signed_in_user(request)), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "annotations/bulk_list.html", {"page": page})


@require_POST
@role_required("member")
def bulk_undo(request: HttpRequest, pk: int) -> HttpResponse:
    record = get_object_or_404(selectors.bulk_list(user=signed_in_user(request)), pk=pk)
    try:
        record = services.bulk_undo(record=record, actor=signed_in_user(request))
    except BulkRefused as refused:
        messages.warning(request, str(refused))
    else:
        messages.success(request, _told_undone(record))
    return redirect(_list_address(request) if request.POST.get("from") == "items" else "annotations:bulk-list")


def _told_undone(record: BulkAction) -> str:
    if record.undone_at is None:
        return _("The undo is under way.")
    said = ngettext("Undone for %s item.", "Undone for %s items.", record.undone) % f"{record.undone:,}"
    if record.undone == record.changed:
        return said
    left = record.changed - record.undone
    return said + " " + ngettext("%s has changed since, and stays.", "%s have changed since, and stay.", left) % f"{left:,}"


@require_POST
@role_required("member")
def item_export(request: HttpRequest) -> HttpResponseBase:
    user, kind = signed_in_user(request), request.POST.get("format", "jsonl")
    try:
        which = _which(request)
        with_scores = bool(request.POST.get("with_scores"))
        pieces = services.item_export(kind=kind, with_scores=with_scores, actor=user, **which)
    except BulkRefused as refused:
        messages.warning(request, str(refused))
        return redirect(_list_address(request))
    return streamed(request, pieces, f"items.{kind}", FORMATS[kind])


@require_POST
@role_required("member")
def view_save(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    try:
        view = services.view_save(
            name=request.POST.get("name", ""),
            wanted=selectors.item_filter(values=_query(request), user=user),
            is_shared=bool(request.POST.get("shared")),
            actor=user,
        )
    except ViewRefused as refused:
        messages.warning(request, str(refused))
    else:
        messages.success(request, _("“%s” is kept.") % view.name)
    return redirect(_list_address(request))


@require_POST
@role_required("member")
def view_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename or share a view, or delete it, as the pressed button says."""
    view, user = get_object_or_404(SavedView, pk=pk), signed_in_user(request)
    try:
        if request.POST.get("action") == "delete":
            services.view_delete(view=view, actor=user)
        else:
            services.view_change(
                view=view, name=request.POST.get("name", ""), is_shared=bool(request.POST.get("shared")), actor=user
            )
    except ViewRefused as refused:
        messages.warning(request, str(refused))
    return redirect(_list_address(request))
