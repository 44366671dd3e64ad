"""The Evaluate pages: scorecards, one scorecard, several side by side."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.roles import role_required, signed_in_user
from evaluation import loop, selectors
from evaluation.forms import AnswersForm, EvaluationForm, LoopForm
from evaluation.models import Evaluation
from evaluation.scorecards.page import card_context
from evaluation.scorecards.scorecard import Scorecard
from evaluation.scorecards.to_items import AnswersGone, answers_import
from evaluation.services import EvaluationRefused, evaluation_queue
from jobs.downloads import send_chart, send_file
from training.services import RunRefused

PAGE_SIZE = 50


@require_GET
@role_required("member")
def scorecard_list(request: HttpRequest) -> HttpResponse:
    artifact = request.GET.get("artifact", "")
    page = Paginator(selectors.evaluation_list(artifact=artifact), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "artifact": artifact, "benchmarks": selectors.benchmark_list()}
    return render(request, "evaluation/scorecard_list.html", context)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def scorecard_queue(request: HttpRequest) -> HttpResponse:
    """The form that asks a model a benchmark; `artifact`, `endpoint` and `benchmark` in the address fill it in."""
    wanted = {name: request.GET[name] for name in ("artifact", "endpoint", "benchmark", "base") if name in request.GET}
    form = EvaluationForm(request.POST) if request.method == "POST" else EvaluationForm(initial=wanted)
    if request.method == "POST" and form.is_valid():
        try:
            evaluation = evaluation_queue(**form.wanted(), actor=signed_in_user(request))
        except EvaluationRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        else:
            messages.success(request, f"{evaluation.model_name} is queued for a {evaluation.job.hardware_tag} worker.")
            return redirect(evaluation)
    context = {"form": form, "benchmarks": selectors.benchmark_list()}
    return render(request, "evaluation/scorecard_queue.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@role_required("admin")
def loop_start(request: HttpRequest) -> HttpResponse:
    """One turn of the Atlas loop: what it will do (GET), and its start (POST)."""
    form = LoopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            pipeline = loop.loop_start(actor=signed_in_user(request), wanted=form.wanted())
        except RunRefused as refused:
            form.add_error(None, str(refused))
        else:
            messages.success(request, "The loop is turning: each step shows here as it runs.")
            return redirect("jobs:pipeline-detail", pipeline.pk)
    return render(request, "evaluation/loop_start.html", {"form": form}, status=422 if form.is_bound else 200)


@require_GET
@role_required("member")
def scorecard_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One scorecard; `slice`, `by` and `metric` in the address choose what of it is shown: see `card_context`."""
    evaluation = _evaluation(pk)
    card = selectors.scorecard_of(evaluation)
    context: dict[str, Any] = {"evaluation": evaluation, "job": evaluation.job, "card": card}
    if card is not None:
        context |= card_context(card, request.GET.dict())
        if file := send_chart(request, context["charts"].values(), of=evaluation.model_name):
            return file
        context["has_answers"] = selectors.answers_path(evaluation) is not None
        context["answers_form"] = AnswersForm()
    return render(request, "evaluation/scorecard_detail.html", context)


@require_GET
@role_required("member")
def scorecard_json(request: HttpRequest, pk: int) -> HttpResponse:
    evaluation, card = _done(pk)
    return _download(card.model_dump_json(indent=1), f"{evaluation.model_name}-scorecard.json", "application/json")


@require_GET
@role_required("member")
def scorecard_csv(request: HttpRequest, pk: int) -> HttpResponse:
    evaluation, card = _done(pk)
    return _download(selectors.scorecard_csv(card), f"{evaluation.model_name}-scorecard.csv", "text/csv")


@require_GET
@role_required("member")
def scorecard_answers(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The judged answers, one JSON object a line."""
    evaluation = _evaluation(pk)
    path = selectors.answers_path(evaluation)
    if path is None:
        raise Http404("The answers are not on disk.")
    return send_file(request, path.open("rb"), f"{evaluation.model_name}-answers.jsonl")


@require_POST
@role_required("admin")
def scorecard_items(request: HttpRequest, pk: int) -> HttpResponse:
    """Its answers become items of a project."""
    evaluation, form = _evaluation(pk), AnswersForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a project that there is.")
        return redirect(evaluation)
    try:
        made = answers_import(evaluation=evaluation, actor=signed_in_user(request), **form.cleaned_data)
    except AnswersGone as gone:
        messages.error(request, str(gone))
        return redirect(evaluation)
    messages.success(request, f"The answers are on their way into {made.project.name}; an import can be undone.")
    return redirect(made)


def _download(content: str, name: str, content_type: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=f"{content_type}; charset=utf-8", headers=headers)


def _evaluation(pk: int) -> Evaluation:
    try:
        return selectors.evaluation_get(pk)
    except Evaluation.DoesNotExist as error:
        raise Http404("There is no such scorecard.") from error


def _done(pk: int) -> tuple[Evaluation, Scorecard]:
    evaluation = _evaluation(pk)
    card = selectors.scorecard_of(evaluation)
    if card is None:
        raise Http404("This scorecard is not there yet.")
    return evaluation, card
