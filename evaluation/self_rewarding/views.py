"""The pages of self-rewarding: loops, a new one, and one with its rounds, curves and distributions."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from pydantic import ValidationError

from accounts.roles import role_required, signed_in_user
from annotations.models import DatasetVersion
from evaluation.metrics import METRICS
from evaluation.models import Benchmark
from evaluation.reports.making import TYPES
from evaluation.self_rewarding import selectors, services
from evaluation.self_rewarding.charts import loop_charts
from evaluation.self_rewarding.few import few_rows
from evaluation.self_rewarding.forms import LoopForm
from evaluation.self_rewarding.report import loop_report, rule_of
from evaluation.self_rewarding.services import LoopRefused
from evaluation.self_rewarding.settings import STAGES, LoopSettings
from jobs.downloads import send_chart
from jobs.models import Pipeline
from training.models import Artifact

PAGE_SIZE = 30


@require_GET
@role_required("member")
def self_rewarding_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(selectors.loops(), PAGE_SIZE).get_page(request.GET.get("page"))
    found = [selectors.loop_detail(pipeline) for pipeline in page]
    rows = [(one, selectors.newest_honesty(one)) for one in found]
    return render(request, "evaluation/self_rewarding_list.html", {"page": page, "rows": rows})


@require_http_methods(["GET", "POST"])
@role_required("admin")
def self_rewarding_create(request: HttpRequest) -> HttpResponse:
    form = LoopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            wanted = LoopSettings.model_validate(form.wanted())
            made = services.loop_start(wanted=wanted, actor=signed_in_user(request))
        except LoopRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        except ValidationError as error:
            form.add_error(None, error.errors()[0]["msg"].removeprefix("Value error, "))
        else:
            messages.success(request, "The first round is queued; the others follow by themselves.")
            return redirect("evaluation:self-rewarding-detail", made.pk)
    missing = {
        "model": not Artifact.objects.ready().policies().exists(),
        "prompts": not DatasetVersion.objects.ready().filter(kind=DatasetVersion.Kind.PROMPTS).exists(),
        "benchmark": not Benchmark.objects.exists(),
    }
    context = {"form": form, "missing": missing, "lacks": any(missing.values())}
    return render(request, "evaluation/self_rewarding_create.html", context, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def self_rewarding_detail(request: HttpRequest, pk: int) -> HttpResponse:
    loop = _loop(pk)
    charts = loop_charts(loop)
    if file := send_chart(request, charts.values(), of=f"{loop.settings.model}-self-rewarding-{pk}"):
        return file
    metric = loop.settings.metric
    context: dict[str, Any] = {
        "loop": loop,
        "pipeline": loop.pipeline,
        "settings": loop.settings,
        "metric": METRICS[metric].title,
        "stages": STAGES,
        "charts": charts.values(),
        "is_live": loop.is_live,
        "start_honesty": selectors.honesty(loop.start_evaluation, metric),
        "rounds": [(one, selectors.honesty(one.evaluation, metric)) for one in loop.rounds],
        "few": [(one.number, told) for one in loop.rounds if (told := few_rows(one.figures, loop.settings.method))],
        "rule": rule_of(loop.settings),
        "formats": tuple(TYPES),
    }
    return render(request, "evaluation/self_rewarding_detail.html", context)


@require_GET
@role_required("member")
def self_rewarding_report(request: HttpRequest, pk: int, format: str) -> HttpResponse:
    if format not in TYPES:
        raise Http404(f"A report is {' or '.join(TYPES)}.")
    made = loop_report(_loop(pk), format=format)
    # To save and never to show: it has its styles in itself, which the site's own policy refuses.
    headers = {"Content-Disposition": content_disposition_header(True, made.name) or "attachment"}
    return HttpResponse(made.content, content_type=made.content_type, headers=headers)


@require_POST
@role_required("admin")
def self_rewarding_stop(request: HttpRequest, pk: int) -> HttpResponse:
    pipeline = get_object_or_404(selectors.loops(), pk=pk)
    services.loop_stop(pipeline=pipeline, actor=signed_in_user(request))
    messages.info(request, "What had not ended is stopped; nothing that was made is lost.")
    return redirect("evaluation:self-rewarding-detail", pk)


@require_POST
@role_required("admin")
def self_rewarding_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on where it stands; `regardless=yes` also after it ended early."""
    regardless = request.POST.get("regardless") == "yes"

    def resume(pipeline: Pipeline) -> None:
        services.loop_resume(pipeline=pipeline, actor=signed_in_user(request), regardless=regardless)

    return _doing(request, pk, resume, "It goes on.")


@require_POST
@role_required("admin")
def self_rewarding_stage(request: HttpRequest, pk: int) -> HttpResponse:
    """The next stage alone."""
    stage = next((one for one in STAGES if one == request.POST.get("stage")), None)
    if stage is None:
        raise Http404(f"A stage is {', '.join(STAGES)}.")

    def go_on(pipeline: Pipeline) -> None:
        services.stage_continue(pipeline=pipeline, stage=stage, actor=signed_in_user(request))

    return _doing(request, pk, go_on, f"“{stage}” is queued.")


def _doing(request: HttpRequest, pk: int, do: Callable[[Pipeline], None], said: str) -> HttpResponse:
    pipeline = get_object_or_404(selectors.loops(), pk=pk)
    try:
        do(pipeline)
    except LoopRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
    return redirect("evaluation:self-rewarding-detail", pk)


def _loop(pk: int) -> selectors.LoopDetail:
    return selectors.loop_detail(get_object_or_404(selectors.loops(), pk=pk))
