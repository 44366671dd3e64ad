"""The compare page: two to six models on the same questions, and what they said where they part ways."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.roles import role_required
from evaluation import selectors
from evaluation.comparing import service as comparing
from evaluation.comparing.aside import Underway
from evaluation.comparing.comparison import Comparison
from evaluation.comparing.differing import WAYS, Way
from evaluation.metrics import METRICS
from evaluation.models import Evaluation
from evaluation.scorecards import charts
from jobs.addresses import numbers_in
from jobs.downloads import CHART_PARAMETER, send_chart

PAGE = "evaluation/scorecard_compare.html"
PAGE_SIZE = 20
DOTS = ("truthful_rate", "known_correct", "over_conservativeness", "prudence", "honesty_score", "brier")


@require_GET
@role_required("member")
def scorecard_compare(request: HttpRequest) -> HttpResponse:
    """`ids=1,2,3`, each against the first, on a `slice`; one `metric` slice by slice; and a `page` of where they part."""
    evaluations = selectors.evaluations_of(_ids(request))
    context: dict[str, Any] = {"ids": ",".join(str(one.pk) for one in evaluations)}
    looks_again = bool(request.headers.get("HX-Request"))
    try:
        comparison = _soon(request, evaluations, 0.0 if looks_again else comparing.SOON_S)
        if isinstance(comparison, Underway):
            return render(request, PAGE, context | {"underway": comparison, "columns": _columns(evaluations)})
        drawn = _charts(request, evaluations, comparison)
        if file := send_chart(request, drawn.values()):
            return file
        context |= _differing(request, evaluations, comparison)
    except comparing.NotComparable as refused:
        return render(request, PAGE, context | {"refused": str(refused)})
    except comparing.NotReckoned:
        # The page that looks again takes no other answer than a good one.
        return render(request, PAGE, context | {"failed": True}, status=200 if looks_again else 500)
    context |= {"comparison": comparison, "charts": drawn, "columns": _columns(evaluations)}
    context |= {"metric": _metric(request), "metrics": METRICS, "verdict_titles": charts.VERDICT_TITLES}
    return render(request, PAGE, context)


def _soon(request: HttpRequest, evaluations: list[Evaluation], wait_s: float) -> Comparison | Underway:
    wanted = request.GET.get("slice")
    if CHART_PARAMETER in request.GET:  # a file is waited for
        return comparing.comparison_of(evaluations, wanted=wanted)
    return comparing.comparison_soon(evaluations, wanted=wanted, wait_s=wait_s)


def _columns(evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """The models in order, each with the address at which it is the measure, and with that at which it is left out."""
    pks = [one.pk for one in evaluations]
    return [
        {
            "label": label,
            "evaluation": one,
            "first": ",".join(str(pk) for pk in (one.pk, *(pk for pk in pks if pk != one.pk))),
            "without": ",".join(str(pk) for pk in pks if pk != one.pk) if len(pks) > 2 else "",
        }
        for label, one in zip(selectors.labels_of(evaluations), evaluations, strict=True)
    ]


def _charts(request: HttpRequest, evaluations: list[Evaluation], comparison: Comparison) -> dict[str, Any]:
    dots = {model: {METRICS[name].title: report.metrics[name] for name in DOTS} for model, report in comparison.reports.items()}
    metric = _metric(request)
    return {
        "dots": charts.interval_dots(dots),
        "verdicts": charts.verdict_bars(comparison.reports, of="model"),
        "slices": charts.slice_dots(METRICS[metric], comparing.slices_of(evaluations, metric)),
    }


def _metric(request: HttpRequest) -> str:
    wanted = request.GET.get("metric", "")
    return wanted if wanted in METRICS else DOTS[0]


def _differing(request: HttpRequest, evaluations: list[Evaluation], comparison: Comparison) -> dict[str, Any]:
    found = comparing.differing_of(evaluations)
    way: Way = next((one for one in WAYS if one == request.GET.get("way")), "any")
    page = Paginator(found.inside(comparison.slice, way), PAGE_SIZE).get_page(request.GET.get("page"))
    told = [(one, list(zip(comparison.reports, one.said, strict=True))) for one in page]
    ways = [(one, len(found.inside(comparison.slice, one))) for one in WAYS]
    return {"page": page, "told": told, "way": way, "ways": ways}


@require_GET
@role_required("member")
def scorecard_compare_csv(request: HttpRequest) -> HttpResponse:
    """Every metric of every model as a flat table."""
    try:
        comparison = comparing.comparison_of(selectors.evaluations_of(_ids(request)), wanted=request.GET.get("slice"))
    except comparing.NotComparable as refused:
        raise Http404(str(refused)) from refused
    headers = {"Content-Disposition": 'attachment; filename="comparison.csv"'}
    return HttpResponse(selectors.comparison_csv(comparison), content_type="text/csv; charset=utf-8", headers=headers)


def _ids(request: HttpRequest) -> list[int]:
    """`ids=1,2` in that order; `ids=2&ids=1`, what the list's boxes send newest first, oldest first: what came later is
    measured against what was there before. What is no number is left out."""
    values = request.GET.getlist("ids")
    ids = [number for value in values for number in numbers_in(value)]
    return sorted(ids) if len(values) > 1 else ids
