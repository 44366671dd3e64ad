"""The strict content security policy, proved in a real browser: Plotly, htmx and the API documentation work under it."""

import json

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from playwright.sync_api import Page, expect

from accounts.roles import public

pytestmark = pytest.mark.browser

PAGE = """{% extends "base.html" %}
{% block content %}
<div class="card"><div class="chart" data-chart="lines"></div></div>
<div class="card"><div class="chart" data-chart="bars"></div></div>
{{ lines|json_script:"lines" }}{{ bars|json_script:"bars" }}
<button class="btn" id="ask" hx-get="/try/fragment/" hx-target="#answer">Ask</button>
<div id="answer"></div>
{% endblock %}"""
FRAGMENT = '<div class="chart" data-chart="late"></div>{{ late|json_script:"late" }}'
LINES = {
    "data": [
        {"type": "scatter", "mode": "lines+markers", "name": "loss", "x": [1, 2, 3], "y": [3, 2, 1],
         "meta": {"x": "step", "y": "loss"}},
        {"type": "scatter", "mode": "markers", "name": "honesty", "x": [1, 2, 3], "y": [0.2, 0.5, 0.9],
         "error_y": {"type": "data", "symmetric": False, "array": [0.1, 0.1, 0.05], "arrayminus": [0.1, 0.1, 0.05]},
         "marker": {"color": "token:honesty-p2"}},
    ],
    "layout": {"xaxis": {"title": {"text": "step"}}},
}  # fmt: skip
BARS = {
    "data": [{"type": "bar", "orientation": "h", "x": [3, 5], "y": ["b", "a"], "text": ["3", "5"]}],
    "layout": {"barmode": "stack"},
}


@public
def show(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({"lines": LINES, "bars": BARS}, request))


@public
def fragment(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(FRAGMENT).render({"late": BARS}, request))


urlpatterns = [path("try/", show), path("try/fragment/", fragment), path("", include(settings.ROOT_URLCONF))]


def test_policy_has_no_unsafe(page: Page) -> None:
    response = page.goto("/account/login/")
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "style-src 'self'" in policy


@pytest.mark.urls(__name__)
def test_plotly_and_htmx_run_under_it(page: Page) -> None:
    """Charts are drawn, hovered, extended and swapped in, and the console stays empty (the `page` fixture holds that)."""
    page.goto("/try/")
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.locator(".chart[data-chart=bars] .bars .point").count() == 2
    point = page.locator(".chart[data-chart=lines] .points path").nth(1).bounding_box()
    assert point is not None
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    expect(page.locator(".chart[data-chart=lines] .hovertext").first).to_be_visible()
    page.evaluate("rlwhfCharts.append('lines', [{step: 4, loss: 0.5}, {step: 5}])")
    page.wait_for_function("() => document.querySelector('[data-chart=lines]').data[0].x.length === 4")
    page.click("#ask")
    expect(page.locator("#answer .chart .main-svg").first).to_be_visible()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(300)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, f"the page is {width} px wide on a narrow screen"
    points = page.evaluate("JSON.stringify(document.querySelector('[data-chart=lines]').data[0].y)")
    assert json.loads(points) == [3, 2, 1, 0.5]


@pytest.mark.urls(__name__)
def test_plotly_rules_are_in_the_linked_stylesheet(page: Page) -> None:
    page.goto("/try/")
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    rules = page.evaluate("document.getElementById('plotly.js-style-global').sheet.cssRules.length")
    assert rules > 50
    assert page.locator("style").count() == 0


def test_api_documentation_runs_under_it(page: Page, sign_in) -> None:
    sign_in("member")
    page.goto("/api/docs")
    expect(page.locator(".swagger-ui .info .title")).to_contain_text("RLWHF")
    page.locator(".opblock-tag").first.click()
    page.locator(".opblock-summary").first.click()
    expect(page.locator(".opblock.is-open").first).to_be_visible()
