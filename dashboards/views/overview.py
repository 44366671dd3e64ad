"""The overview: each headline metric over models; and the page of one model over all its evaluations."""

from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.models import Endpoint
from accounts.roles import role_required
from dashboards import overview, overview_charts
from evaluation.metrics import METRICS
from evaluation.models import Evaluation
from evaluation.scorecards.page import card_context
from evaluation.selectors import TILES, evaluation_get, scorecard_of
from jobs.addresses import number_in
from jobs.downloads import send_chart
from training.models import Artifact


@lru_cache(maxsize=1024)
def _address(model: str) -> str:
    """A page of two hundred models resolves as many addresses, which are ever the same."""
    return reverse("dashboards:model", args=[model])


@require_GET
@role_required("member")
def overview_page(request: HttpRequest) -> HttpResponse:
    """`benchmark` chooses the questions, `last` how many models, `metric` (as often as there are some) which of them."""
    asked = request.GET
    last = int(asked["last"]) if asked.get("last", "") in map(str, overview.LAST) else overview.LAST_SHOWN
    found = overview.models_measured(benchmark=number_in(asked.get("benchmark", "")), last=last)
    _check_benchmark(asked.get("benchmark", ""), found.benchmark.pk if found else None)
    wanted = [name for name in METRICS if name in asked.getlist("metric")] or list(TILES)
    context: dict[str, Any] = {"found": found, "last": last, "lasts": overview.LAST, "wanted": wanted}
    if found:
        query = f"?benchmark={found.benchmark.pk}"
        addresses = [_address(one.evaluation.model_name) + query for one in found.measured]
        charts = [overview_charts.metric_over_models(name, found.measured, addresses) for name in wanted]
        if file := send_chart(request, charts):
            return file
        figures = [[one.reading(name) for name in wanted] for one in found.measured]
        rows = list(zip(found.measured, addresses, figures, strict=True))[::-1]
        context |= {"charts": charts, "rows": rows, "columns": [METRICS[name] for name in wanted]}
        context |= {"newest": found.measured[-1].key, "starred": any(one.promotions for one in found.measured)}
        context["broken"] = any(one.is_broken for one in found.measured)
    context |= {"evaluating": overview.evaluating(), "is_live": overview.is_evaluating(), "metrics": METRICS}
    return render(request, "dashboards/overview.html", context)


@require_GET
@role_required("member")
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """`benchmark` chooses the scorecard; `slice`, `by` and `metric` what of it is shown, as on the scorecard's own page."""
    history = overview.model_history(name)
    artifact = Artifact.objects.filter(name=name).select_related("base", "run").first()
    if artifact is None and not history.evaluations and not Endpoint.objects.filter(name=name).exists():
        raise Http404("There is no such model.")
    chosen = _chosen(history.newest, number_in(request.GET.get("benchmark", "")))
    _check_benchmark(request.GET.get("benchmark", ""), chosen.benchmark_id if chosen else None)
    context: dict[str, Any] = {"history": history, "artifact": artifact, "chosen": chosen, "title": overview.title_of(artifact)}
    if chosen is not None:
        evaluation = evaluation_get(chosen.pk)
        card = scorecard_of(evaluation)
        assert card is not None  # whoever has a headline has a scorecard
        context |= card_context(card, request.GET.dict())
        if file := send_chart(request, context["charts"].values(), of=name):
            return file
        parent = overview.parent_scorecard(chosen)
        context |= {"evaluation": evaluation, "job": evaluation.job, "card": card, "parent": parent}
    context |= {"evaluating": overview.evaluating(model=name), "is_live": overview.is_evaluating(model=name)}
    return render(request, "dashboards/model.html", context)


def _check_benchmark(asked: str, found: int | None) -> None:
    """An address that names a benchmark never means another."""
    if asked and number_in(asked) != found:
        raise Http404("There is no such benchmark, or no scorecard on it.")


def _chosen(newest: list[Evaluation], benchmark: int | None) -> Evaluation | None:
    return next((one for one in newest if one.benchmark_id == benchmark), newest[0] if newest else None)
