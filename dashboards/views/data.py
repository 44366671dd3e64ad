"""The data page: dataset versions, what was dropped and why, how scores lie, where all of it came from."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.roles import role_required
from dashboards import data, data_charts
from dashboards.views.choice import project_named
from jobs.downloads import send_chart
from jobs.figures import Chart


@require_GET
@role_required("member")
def data_page(request: HttpRequest) -> HttpResponse:
    """`project` (its slug) chooses whose scores and imports; `kind` of rater, for scores by model; `dataset` the card, at first
    that of the newest version that was built.

    What the address names and is not there is a 404, never something else.
    """
    asked = request.GET
    projects, versions = data.projects(), data.datasets()
    project = project_named(projects, asked.get("project", ""))
    number = project.pk if project else None
    built = next((one for one in versions if one.is_ready), None) or next(iter(versions), None)
    shown = data.dataset(asked.get("dataset") or (built.name if built else ""))
    if asked.get("dataset") and shown is None:
        raise Http404("There is no dataset of that name.")
    weekly, by_model = data.scores_by_kind(project=number), data.scores_by_model(project=number)
    kinds = {kind: title for kind, title in data_charts.KINDS.items() if any(one.by == kind for one in weekly)}
    kind = asked.get("kind", "")
    kind = kind if kind in kinds else next(iter(kinds), "person")
    charts: dict[str, Chart] = {}
    if weekly:
        charts["spread"] = data_charts.spread_bars(weekly)
        charts["by_model"] = data_charts.model_bars(by_model, kind)
        charts["weeks"] = data_charts.scores_over_weeks(weekly)
    if formats := data.formats(project=number):
        charts["origins"] = data_charts.origin_bars(formats)
    if shown and shown.card.drops:
        charts["drops"] = data_charts.drop_bars(shown.card.drops)
    if shown and shown.shares:
        charts["shares"] = data_charts.share_bars(shown.shares)
    if file := send_chart(request, charts.values()):
        return file
    if shown and all(one.pk != shown.version.pk for one in versions):
        versions = [*versions, shown.version]
    context: dict[str, Any] = {
        "projects": projects,
        "project": project,
        "versions": [one.name for one in versions],
        "shown": shown,
        "kinds": kinds,
        "kind": kind,
        "charts": charts,
        "imports": data.imports(project=number),
        "items": data.items_in(project=number),
        "scores": sum(one.scores for one in weekly),
        "revoked": data.scores_revoked(project=number),
        "is_live": data.is_building(),
    }
    return render(request, "dashboards/data.html", context)
