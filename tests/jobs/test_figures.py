"""A chart on a page, and its numbers as CSV."""

import csv
import io

import pytest
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.urls import include, path

from accounts.roles import public
from jobs.downloads import send_chart
from jobs.figures import Chart, Link, Measured, chart_csv, error_bars, harmless, rounded

CHART = Chart(
    "shares",
    "Shares & intervals",
    {"data": [{"type": "scatter", "name": "one", "x": ["a", "b"], "y": [0.5, 0.25]}], "layout": {}},
    ["model", "share", "n"],
    [[Link("=SUM(A1)", "/models/a/"), Measured(0.5, 0.25, 0.75, is_share=True), 1200], ["b", Measured(None), None]],
)
PAGE = '{% extends "base.html" %}{% load charts %}{% block content %}<div class="card">{% chart one %}</div>{% endblock %}'


@public
def show(request: HttpRequest) -> HttpResponse:
    return send_chart(request, [CHART]) or HttpResponse(engines["django"].from_string(PAGE).render({"one": CHART}, request))


urlpatterns = [path("try/", show), path("", include(settings.ROOT_URLCONF))]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_an_interval_takes_three_columns_nothing_stands_for_what_was_not_measured_and_no_cell_is_a_formula():
    assert rows_of(chart_csv(CHART)) == [
        ["model", "share", "share: low", "share: high", "n"],
        ["'=SUM(A1)", "0.5", "0.25", "0.75", "1200"],
        ["b", "", "", "", ""],
    ]


def test_words_are_no_formulas_and_signed_numbers_stay_numbers():
    assert [harmless(cell) for cell in ("=1+1", "+SUM(A1)", "-2+3", "@x", "\t=1", "\n=1", "+-1")] == [
        "'=1+1", "'+SUM(A1)", "'-2+3", "'@x", "'\t=1", "'\n=1", "'+-1",
    ]  # fmt: skip
    kept = ("+2", "−1", "-1", "+0.5", "-12.5%", "model", "", 3, None, 0.5)
    assert [harmless(cell) for cell in kept] == list(kept)
    columns = Chart("spread", "", {}, ["by", "+1", "−1"], [["x", "+2", 4]])
    assert rows_of(chart_csv(columns)) == [["by", "+1", "−1"], ["x", "+2", "4"]]


def test_the_file_has_every_row_where_the_page_shows_some():
    chart = Chart("long", "", {}, ["step"], [[1]], every=lambda: [[1], [2], [3]])
    assert rows_of(chart_csv(chart)) == [["step"], ["1"], ["2"], ["3"]]


def test_numbers_have_six_places_and_small_ones_six_digits():
    long = [0.2376063207048754, -0.27380952380952384, 1.23456789e-7, 1234567.1234567, 12, 0.0, None, "x", float("inf")]
    short = [0.237606, -0.27381, 1.23457e-7, 1234567.123457, 12, 0.0, None, "x", float("inf")]
    assert rounded(long) == short
    assert rounded({"a": ({"b": Measured(1 / 3)},)}) == {
        "a": [{"b": {"value": 0.333333, "low": None, "high": None, "is_share": False}}]
    }
    told = rows_of(chart_csv(Chart("x", "", {}, ["a", "b"], [[1 / 3, Measured(2 / 3, 1 / 7, None)]])))
    assert told[1] == ["0.333333", "0.666667", "0.142857", ""]


def test_error_bars_are_distances_and_none_where_there_is_no_interval():
    bars = error_bars([Measured(0.5, 0.25, 0.75), Measured(0.5), Measured(None)], "token:series-1")
    assert bars["array"] == [0.25, 0, 0] and bars["arrayminus"] == [0.25, 0, 0]


def test_a_page_gives_the_numbers_of_the_chart_that_is_asked_for():
    ask = RequestFactory().get
    assert send_chart(ask("/", {"slice": "B"}), [CHART]) is None
    answer = send_chart(ask("/", {"csv": "shares"}), [CHART])
    assert answer is not None and answer["Content-Disposition"] == 'attachment; filename="shares.csv"'
    named = send_chart(ask("/", {"csv": "shares"}), [CHART], of="atlas-0-dpo")
    assert named is not None and named["Content-Disposition"] == 'attachment; filename="atlas-0-dpo-shares.csv"'
    with pytest.raises(Http404):
        send_chart(ask("/", {"csv": "other"}), [CHART])


@pytest.mark.urls(__name__)
def test_the_table_says_what_the_chart_shows_and_its_links_keep_the_filters(client):
    said = client.get("/try/?slice=B+easy").content.decode()
    assert '<a href="/models/a/">=SUM(A1)</a>' in said
    assert '50.0%<br><span class="muted">25.0% to 75.0%</span>' in said
    assert '<td class="num">1,200</td>' in said and said.count('<td class="num">—</td>') == 2
    assert 'href="?slice=B+easy&amp;csv=shares"' in said
    assert 'href="?slice=B+easy#figure-shares"' in said
    assert rows_of(client.get("/try/?slice=B&csv=shares").content.decode())[1][0] == "'=SUM(A1)"
