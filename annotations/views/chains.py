"""The pages of chains of specialists."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Endpoint
from accounts.roles import role_required, signed_in_user
from annotations.forms.chains import ChainForm, ChainRunForm, initial_of, step_forms, steps_wanted
from annotations.models import Chain, Project
from annotations.selectors import chains as selectors
from annotations.services.chains import ChainRefused, chain_run_queue, chain_save, chain_switch


@require_GET
@role_required("member")
def chain_list(request: HttpRequest) -> HttpResponse:
    context = {"chains": selectors.chain_list(), "any_endpoint": Endpoint.objects.exists()}
    return render(request, "annotations/chain_list.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def chain_edit(request: HttpRequest, name: str = "") -> HttpResponse:
    """A new chain, or the next version of one."""
    chain = get_object_or_404(Chain, name=name) if name else None
    posted = request.POST if request.method == "POST" else None
    data = {**posted.dict(), "name": name} if posted is not None and name else posted
    form = ChainForm(data, initial=initial_of(chain) if chain else None)
    rows = step_forms(posted, chain.versions.first() if chain else None)
    if chain:
        form.fields["name"].disabled = True
        form.initial["name"] = name
    if posted is not None and form.is_valid() & rows.is_valid():
        try:
            made = chain_save(**form.cleaned_data, steps=steps_wanted(rows), actor=signed_in_user(request))
        except ChainRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, f"{made} works from now on.")
            return redirect(made.chain)
    context = {"form": form, "rows": rows, "chain": chain, "any_endpoint": Endpoint.objects.exists()}
    return render(request, "annotations/chain_edit.html", context, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def chain_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One chain: its steps, its runs, what was said last."""
    chain = get_object_or_404(Chain, name=name)
    version = chain.versions.first()
    context: dict[str, Any] = {
        "chain": chain,
        "version": version,
        "steps": version.steps.select_related("endpoint").order_by("position") if version else [],
        "versions": chain.versions.count(),
        "runs": selectors.chain_runs(chain)[: selectors.RUNS_SHOWN],
        "results": selectors.chain_results(chain)[: selectors.RESULTS_SHOWN],
        "form": ChainRunForm(),
        "any_project": Project.objects.exists(),
    }
    return render(request, "annotations/chain_detail.html", context)


@require_POST
@role_required("admin")
def chain_run(request: HttpRequest, name: str) -> HttpResponse:
    chain = get_object_or_404(Chain, name=name)
    form = ChainRunForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect(chain)
    try:
        run = chain_run_queue(chain=chain, actor=signed_in_user(request), **form.cleaned_data)
    except ChainRefused as refused:
        messages.error(request, str(refused))
        return redirect(chain)
    messages.success(request, f"{run.version} will go through {run.project}.")
    return redirect(chain)


@require_POST
@role_required("admin")
def chain_switched(request: HttpRequest, name: str) -> HttpResponse:
    chain = get_object_or_404(Chain, name=name)
    chain_switch(chain=chain, is_active=request.POST.get("active") == "1", actor=signed_in_user(request))
    messages.success(request, f"{chain} {'works again' if chain.is_active else 'rests'}.")
    return redirect(chain)
