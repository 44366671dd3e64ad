"""The quality of a project's scores: agreement, annotators, consensus. For members and up, since it names people."""

import csv
import io
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.roles import role_required, signed_in_user
from annotations import charts, selectors, services
from annotations.models import Project
from annotations.selectors.leads import tab_counts
from annotations.selectors.quality import disputed_items, quality_latest, rater_names
from annotations.statistics.ratings import SCORES, reading
from jobs.downloads import send_chart
from jobs.figures import harmless

CSV_COLUMNS = (
    "annotator", "scores", "kappa", "kappa_low", "kappa_high", "exact", "within_one", "compared", "bias", "bias_low", "bias_high",
    "gold_exact", "gold_within_one", "gold_items", "cannot_verify", "seconds_median", "seconds_p90",
    *(f"given_{score}" for score in SCORES), "signals",
)  # fmt: skip


@require_GET
@role_required("member")
def project_quality(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(selectors.project_list(), slug=slug)
    quality = quality_latest(project=project)
    context: dict[str, Any] = {
        "project": project,
        "quality": quality,
        "report": quality.data,
        "job": None,
        "tabs": tab_counts(project=project),
    }
    if quality.later and quality.later.job:
        context["job"] = quality.later.job
    if quality.data:
        context |= _figures(project, quality.data)
        if file := send_chart(request, filter(None, (context["time_chart"], context["disagreement_chart"]))):
            return file
    if project.mode == Project.Mode.COMPARE:
        context["agreement"] = selectors.project_ranking_agreement(project=project)
    return render(request, "annotations/quality.html", context)


@require_POST
@role_required("member")
def project_quality_compute(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a new report."""
    project = get_object_or_404(Project, slug=slug)
    services.quality_queue(project=project, actor=signed_in_user(request))
    messages.info(request, "The figures are being computed anew.")
    return redirect("annotations:project-quality", slug=project.slug)


@require_GET
@role_required("member")
def project_quality_annotator(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One annotator's figures."""
    project = get_object_or_404(selectors.project_list(), slug=slug)
    quality = quality_latest(project=project)
    one = next((row for row in quality.data.get("annotators", []) if row["rater"] == pk), None)
    if quality.report is None or one is None:
        raise Http404("The newest report on this project has nobody of that number.")
    over_time = one["over_time"]["rows"]
    score_chart = charts.score_bars(one["scores"])
    bias_chart = charts.bias_over_time(over_time) if _points(over_time, "bias") > 1 else None
    if file := send_chart(request, filter(None, (score_chart, bias_chart))):
        return file
    context = {
        "project": project,
        "tabs": tab_counts(project=project),
        "quality": quality,
        "one": one,
        "name": rater_names(quality.data).get(pk, ""),
        "scores": SCORES,
        "confusion": [
            (row["score"], list(zip(SCORES, row["given"], strict=True)), sum(row["given"])) for row in one["confusion"]
        ],
        "score_chart": score_chart,
        "bias_chart": bias_chart,
    }
    return render(request, "annotations/quality_annotator.html", context)


@require_GET
@role_required("member")
def project_quality_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """Every annotator's figures, a row each; an empty cell is a figure that cannot be computed."""
    project = get_object_or_404(Project, slug=slug)
    quality = quality_latest(project=project)
    if quality.report is None:
        raise Http404("There is no report on this project yet.")
    names = rater_names(quality.data)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CSV_COLUMNS)
    for one in quality.data["annotators"]:
        rows.writerow(_csv_row(one, names.get(one["rater"], "")))
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="quality-{project.slug}.csv"'
    return response


def _figures(project: Project, report: dict[str, Any]) -> dict[str, Any]:
    labels = {dimension.id: dimension.label for dimension in project.rubric_version.rubric.dimensions}
    names = rater_names(report)
    headlines = [
        {**one, "label": labels.get(one["name"], one["name"]), "reading": reading(one["alpha"])} for one in report["agreement"]
    ]
    over_time = report["over_time"]["rows"]
    consensus = report["consensus"]
    return {
        "headline": next(one for one in headlines if one["name"] == "overall"),
        "headlines": headlines,
        "annotators": [{**one, "name": names.get(one["rater"], "")} for one in report["annotators"]],
        "other_rubric": report["rubric"]["id"] != project.rubric_version_id,
        "time_chart": charts.agreement_over_time(over_time) if _points(over_time, "alpha") > 1 else None,
        "disagreement_chart": charts.disagreement_bars(consensus["histogram"], consensus["unanimous"])
        if consensus["shared"]
        else None,
        "disputed": disputed_items(report),
    }


def _points(rows: list[dict[str, Any]], name: str) -> int:
    """In how many stretches of time a figure could be computed; a line needs two."""
    values = (row[name]["value"] if isinstance(row[name], dict) else row[name] for row in rows)
    return sum(value is not None for value in values)


def _csv_row(one: dict[str, Any], name: str) -> list[Any]:
    def ends(figure: dict[str, Any]) -> list[Any]:
        interval = figure["interval"] or {"low": None, "high": None}
        return [figure["value"], interval["low"], interval["high"]]

    return [
        harmless(name),
        one["n"], *ends(one["kappa"]), one["exact"]["value"], one["within_one"]["value"], one["exact"]["n"], *ends(one["bias"]),
        one["gold_exact"]["value"], one["gold_within_one"]["value"], one["gold_exact"]["n"], one["cannot_verify"]["value"],
        one["seconds_median"], one["seconds_p90"], *one["scores"], " ".join(signal["text"] for signal in one["signals"]),
    ]  # fmt: skip
