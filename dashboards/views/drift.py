"""The drift page: gold answers, people, reward model and policy reward, over time and over models."""

from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.roles import role_required
from dashboards import data, drift, drift_charts
from dashboards.views.choice import project_named
from jobs.addresses import number_in
from jobs.downloads import send_chart
from jobs.figures import Chart

ALL_MODELS = "-"


@require_GET
@role_required("member")
def drift_page(request: HttpRequest) -> HttpResponse:
    """`project` (its slug) chooses whose scores; `model`, of whose answers they are; `benchmark`, which scorecards are shown.

    An address means the same for ever: what it names and is not there is said to be missing.
    """
    asked = request.GET
    projects = data.projects()
    project = project_named(projects, asked.get("project", ""))
    number = project.pk if project else None
    benchmark = number_in(asked.get("benchmark", ""))
    found = drift.rewarded(project=number, benchmark=benchmark)
    if asked.get("benchmark") and (benchmark is None or found.benchmark is None):
        raise Http404("There is no such benchmark.")
    model = None if asked.get("model", ALL_MODELS) == ALL_MODELS else asked["model"]
    rows, shown = drift.weekly(project=number, source_model=model), found if model is None else _of(found, model)
    charts: dict[str, Chart] = {}
    if rows or shown.models or shown.made:
        charts["time"] = drift_charts.drift_over_time(rows, shown)
    if found.models:
        over = {
            "scores": drift_charts.scores_over_models(found.models),
            "rewards": drift_charts.rewards_over_models(found.models),
        }
        charts |= over
    charts = {name: chart for name, chart in charts.items() if chart.figure["data"]}
    if file := send_chart(request, charts.values()):
        return file
    context: dict[str, Any] = {
        "projects": projects,
        "project": project,
        "answered": list(dict.fromkeys([*found.answered, *([model] if model else [])])),
        "model": model,
        "charts": charts,
        "found": found,
        "models": found.models[::-1],
        "said": {who: title for who, (title, _, _) in drift_charts.SAID.items()},
        "is_live": drift.is_training(),
    }
    return render(request, "dashboards/drift.html", context)


def _of(found: drift.Drift, model: str) -> drift.Drift:
    """One model's own, and the scorecard of the one that it was trained from."""
    models = [one for one in found.models if one.run.artifact.name == model]
    names = {model, *(one.run.base.name for one in models if one.run.base)}
    return replace(found, models=models, made={name: told for name, told in found.made.items() if name in names})
