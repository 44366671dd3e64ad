"""The people page: how far annotators agree, who scores higher or lower, and how that drifts."""

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.roles import role_required
from annotations.charts import agreement_over_time
from dashboards import people, people_charts
from jobs.downloads import send_chart


@require_GET
@role_required("member")
def people_page(request: HttpRequest) -> HttpResponse:
    """`project` (its slug) chooses whose people; `person` (as often as there are some) whose lines are drawn."""
    projects = people.agreements()
    slug = request.GET.get("project") or next((one.project.slug for one in projects), "")
    chosen = next((one for one in projects if one.project.slug == slug), None)
    if slug and chosen is None:
        raise Http404("There is no such project, or nobody has scored in it.")
    context: dict[str, Any] = {"projects": projects, "chosen": chosen}
    if chosen is not None:
        found = people.people_of(chosen.project, any_revoked=bool(chosen.revoked))
        shown = people.shown_people(found, request.GET.getlist("person"))
        raters = tuple(one.rater for one in shown)
        weekly = people.weeks_of(chosen.project.pk, raters)
        addresses = [f"{reverse('dashboards:people')}?{urlencode({'project': one.project.slug})}" for one in projects]
        charts = {"alpha": people_charts.alpha_by_project(projects, addresses)}
        charts["mean_weeks"] = people_charts.mean_over_weeks(shown, weekly)
        if found.number is not None:
            charts["dimensions"] = people_charts.alpha_by_dimension(found.report["agreement"])
            charts["over_time"] = agreement_over_time(found.report["over_time"]["rows"])
            charts["bias"] = people_charts.bias_by_person(found.people)
            charts["bias_weeks"] = people_charts.bias_over_weeks(shown, people.bias_weeks(found.number, raters))
        if file := send_chart(request, charts.values()):
            return file
        context |= {"found": found, "shown": [one.name for one in shown], "charts": charts, "most": people.LINES_AT_MOST}
    context["is_live"] = people.is_computing()
    return render(request, "dashboards/people.html", context)
