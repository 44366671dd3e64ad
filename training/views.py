"""The Train and Models pages."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.roles import role_required, signed_in_user
from training import selectors
from training.forms import RunForm
from training.models import Artifact, Run
from training.services import RunRefused, run_queue, run_spec

PAGE_SIZE = 50


@require_GET
@role_required("member")
def run_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(selectors.run_list(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "training/run_list.html", {"page": page})


@require_GET
@role_required("member")
def run_detail(request: HttpRequest, name: str) -> HttpResponse:
    run = _run(name)
    context = {"run": run, "job": run.job, "fields": selectors.flat_fields(run.spec)}
    return render(request, "training/run_detail.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def run_launch(request: HttpRequest) -> HttpResponse:
    """The launch form; `recipe`, `dataset` and `base` in the address fill it in."""
    form = RunForm(request.POST) if request.method == "POST" else RunForm(initial=_wanted(request))
    if request.method == "POST" and form.is_valid():
        try:
            run = run_queue(**form.cleaned_data, actor=signed_in_user(request))
        except RunRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, f"{run.name} is queued for a {run.job.hardware_tag} worker.")
            return redirect(run)
    status = 422 if form.is_bound else 200
    return render(request, "training/run_launch.html", {"form": form, "recipes": selectors.recipe_list()}, status=status)


@require_POST
@role_required("admin")
def run_preview(request: HttpRequest) -> HttpResponse:
    """The specification and the command that the filled-in form amounts to; queues nothing."""
    form = RunForm(request.POST)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        data = form.cleaned_data
        try:
            spec = run_spec(name=data["name"], recipe=data["recipe"], base=data["base"], overrides=data["overrides"])
            context |= {"spec": spec.model_dump_json(indent=2), "command": selectors.run_command(data)}
        except RunRefused as refused:
            context["refused"] = str(refused)
    return render(request, "training/_run_preview.html", context)


@require_GET
@role_required("member")
def artifact_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(selectors.artifact_list(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "training/artifact_list.html", {"page": page})


@require_GET
@role_required("member")
def artifact_detail(request: HttpRequest, name: str) -> HttpResponse:
    try:
        artifact = Artifact.objects.select_related("base", "run", "run__dataset", "run__job").get(name=name)
    except ObjectDoesNotExist as error:
        raise Http404(f"There is no model named “{name}”.") from error
    context = {
        "artifact": artifact,
        "run": Run.objects.filter(artifact=artifact).select_related("dataset", "job").first(),
        "lineage": selectors.artifact_lineage(artifact),
        "descendants": artifact.descendants.ready(),
        "files": selectors.artifact_files(artifact),
        "reported": selectors.flat_fields(artifact.metrics),
    }
    return render(request, "training/artifact_detail.html", context)


def _run(name: str) -> Run:
    try:
        return selectors.run_get(name)
    except ObjectDoesNotExist as error:
        raise Http404(f"There is no run named “{name}”.") from error


def _wanted(request: HttpRequest) -> dict[str, str]:
    return {field: value for field in ("recipe", "dataset", "base", "name") if (value := request.GET.get(field))}
