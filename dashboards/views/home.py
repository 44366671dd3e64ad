"""The home page: the loop, where the project stands in it, and the next thing to do."""

from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh

from accounts.links import page_for
from accounts.models import User
from accounts.roles import role_required, signed_in_user
from dashboards import charts, overview, selectors
from dashboards.standing import Action, Standing, Step, next_actions, run_the_loop, steps
from jobs.addresses import number_in
from jobs.downloads import send_chart
from jobs.figures import Link

MODELS_SHOWN = 20


@dataclass(frozen=True)
class Button:
    """An action with the address it has for this person."""

    action: Action
    url: str


@dataclass(frozen=True)
class Station:
    step: Step
    url: str | None
    is_next: bool


@require_GET
@role_required("annotator")
def home(request: HttpRequest) -> HttpResponse:
    """The page; or, asked by htmx while the demo loop runs, only the part that changes."""
    user = signed_in_user(request)
    now = selectors.overview()
    at = now.standing
    live = at.loop is not None and at.loop.is_live
    if request.headers.get("HX-Request") and not live:
        return HttpResponseClientRefresh()
    jobs = now.loop_jobs if page_for(user, "jobs:job-list") else []  # their titles name models
    context = _now(user, at) | {"loop": at.loop, "loop_live": live, "loop_jobs": jobs}
    if request.headers.get("HX-Request"):
        return render(request, "dashboards/_now.html", context)
    if user.has_role("member"):
        context |= _results(request)
        if file := send_chart(request, filter(None, [context.get("chart")])):
            return file
    return render(request, "dashboards/home.html", context)


def _now(user: User, at: Standing) -> dict[str, Any]:
    doable = [button for action in next_actions(at) if (button := _button(user, action))]
    first = doable[0] if doable else None
    stations = [
        Station(_told(step, url), url, first is not None and first.action.step == step.label)
        for step in steps(at)
        for url in (page_for(user, step.page),)
    ]
    demo = _button(user, run_the_loop())
    offered = demo if demo and first and first.action != run_the_loop() and not (at.loop and at.loop.is_live) else None
    return {"stations": stations, "first": first, "others": doable[1:3], "demo": offered}


def _told(step: Step, url: str | None) -> Step:
    """Without the name of what this person may not open."""
    return replace(step, note="") if step.names and url is None else step


def _button(user: User, action: Action) -> Button | None:
    url = page_for(user, action.page, *action.args)
    return Button(action, url + action.query) if url else None


def _results(request: HttpRequest) -> dict[str, Any]:
    wanted = request.GET.get("benchmark", "")
    trend = overview.models_measured(benchmark=number_in(wanted), last=MODELS_SHOWN)
    context: dict[str, Any] = {"trend": trend, "runs": selectors.last_runs()}
    if trend:
        models = [Link(one.label, one.evaluation.get_absolute_url()) for one in trend.measured]
        context["chart"] = charts.honesty_trend(models, [one.readings for one in trend.measured])
        context["newest"], context["newest_readings"] = trend.measured[-1].evaluation, trend.measured[-1].readings
    return context
