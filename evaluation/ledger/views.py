"""The pages of the ledger: whose scores stand in datasets, what revoking them would touch, and what a revocation touches."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.roles import role_required, signed_in_user
from annotations.models import Rater, Revocation, RubricVersion
from annotations.services import RevocationRefused
from evaluation.ledger import selectors, services
from evaluation.ledger.forms import RebuildForm, WhyForm
from evaluation.ledger.services import RebuildRefused


@require_GET
@role_required("member")
def ledger_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip()[:100]
    context = {"revocations": selectors.revocations(), "sources": selectors.sources(words=words), "words": words}
    return render(request, "evaluation/ledger_list.html", context | {"shown": selectors.SHOWN})


@require_http_methods(["GET", "POST"])
@role_required("member")
def ledger_rater(request: HttpRequest, pk: int) -> HttpResponse:
    return _preview(request, get_object_or_404(Rater, pk=pk))


@require_http_methods(["GET", "POST"])
@role_required("member")
def ledger_rubric(request: HttpRequest, pk: int) -> HttpResponse:
    return _preview(request, get_object_or_404(RubricVersion, pk=pk))


def _preview(request: HttpRequest, target: selectors.Target) -> HttpResponse:
    """What revoking would touch; by POST, an admin revokes."""
    standing = selectors.revocation_of(target)
    if standing is not None:
        return redirect(standing)
    form = WhyForm(request.POST or None)
    actor = signed_in_user(request)
    if request.method == "POST" and not actor.has_role("admin"):
        return HttpResponse("Only an admin revokes scores.", status=403)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.scores_revoke(target=target, reason=form.cleaned_data["reason"], actor=actor)
        except RevocationRefused as refused:
            form.add_error("reason", str(refused))
        else:
            messages.success(request, f"The scores of {target} count for nothing from now on. Nothing was deleted.")
            return redirect(made)
    context: dict[str, Any] = {"form": form, "found": selectors.consequences_of(target), "target": target}
    context |= {"is_rater": isinstance(target, Rater), "other": selectors.same_person(target)}
    return render(request, "evaluation/ledger_preview.html", context, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def ledger_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A revocation with all that was made of the scores."""
    revocation = get_object_or_404(selectors.revocations(), pk=pk)
    target = revocation.target
    rebuilds = selectors.rebuilds_of(revocation)
    context: dict[str, Any] = {"revocation": revocation, "target": target, "found": selectors.consequences_of(target)}
    context |= {"rebuilds": rebuilds, "is_rater": isinstance(target, Rater), "other": selectors.same_person(target)}
    return render(request, "evaluation/ledger_detail.html", context | {"why": WhyForm(), "rebuild": RebuildForm()})


@require_POST
@role_required("admin")
def ledger_lift(request: HttpRequest, pk: int) -> HttpResponse:
    revocation = get_object_or_404(Revocation, pk=pk)
    try:
        services.scores_reinstate(revocation=revocation, reason=request.POST.get("reason", ""), actor=signed_in_user(request))
    except RevocationRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"The scores of {revocation} count again.")
    return redirect(revocation)


@require_POST
@role_required("admin")
def ledger_rebuild(request: HttpRequest, pk: int) -> HttpResponse:
    revocation = get_object_or_404(Revocation, pk=pk)
    form = RebuildForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say how far the rebuild goes.")
        return redirect(revocation)
    try:
        pipeline = services.rebuild_queue(revocation=revocation, actor=signed_in_user(request), **form.cleaned_data)
    except RebuildRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{pipeline.jobs.count()} jobs are queued.")
    return redirect(revocation)
