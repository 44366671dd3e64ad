from __future__ import annotations

import json

import pytest

from evaluation.reports.content import measured
from evaluation.scorecards.charts import interval_dots, reliability_diagram, reliability_diagrams, rubric_histogram, verdict_bars
from evaluation.scorecards.part_charts import card_charts, slice_chart
from evaluation.scorecards.scorecard import MetricValue, ReliabilityBin
from evaluation.scorecards.table import scorecard_text
from evaluation.selectors import finest_slices
from tests.evaluation.scorecards.test_scorecard import BASE, make


def test_verdict_bars_fill_each_slice_and_leave_out_verdicts_nobody_earned() -> None:
    figure = verdict_bars(finest_slices(make(BASE))).figure
    assert len(figure["data"][0]["y"]) == 8
    for index in range(8):
        assert sum(trace["x"][index] for trace in figure["data"]) == pytest.approx(1)
    assert "hedged, wrong" not in {trace["name"] for trace in figure["data"]}


def test_error_bars_are_distances_and_never_negative() -> None:
    figure = reliability_diagram([ReliabilityBin(n=5, confidence=0.8, accuracy=1.0, low=0.6, high=1.0)]).figure
    bars = figure["data"][1]["error_y"]
    assert bars["array"] == [0]
    assert bars["arrayminus"] == [pytest.approx(0.4)]


def test_a_missing_metric_leaves_a_gap_and_not_a_zero() -> None:
    values = {"a": {"X": MetricValue(value=None, n=0, reason="no items"), "Y": MetricValue(value=0.5, low=0.4, high=0.6, n=9)}}
    figure = interval_dots(values).figure
    assert figure["data"][0]["x"] == [0.5]
    assert figure["data"][0]["y"] == [1]
    assert figure["layout"]["yaxis"]["ticktext"] == ["X", "Y"]


def test_what_could_not_be_scored_has_a_bar_of_its_own() -> None:
    figure = rubric_histogram({"+2": 3, "0": 1, "not scored": 2}).figure
    assert figure["data"][0]["y"] == [0, 0, 1, 0, 3, 2]


def test_figures_are_plain_json() -> None:
    card = make(BASE)
    json.dumps([verdict_bars(card.slices).figure, reliability_diagram(card.reliability).figure], allow_nan=False)


def test_the_scorecard_as_text_names_the_conclusion_and_every_metric() -> None:
    text = scorecard_text(make(BASE, BASE))
    assert "No difference shown" in text
    assert "Truthful rate" in text
    assert "Base model with a probability threshold" in text
    assert len(text.splitlines()) > 25


def test_a_figure_that_rests_on_other_answers_than_its_row_says_has_its_own_n_in_text_and_report() -> None:
    unsure = [row.model_copy(update={"confidence": None}) if i % 4 == 0 else row for i, row in enumerate(BASE)]
    card = make(BASE, unsure)
    report = card.slices[card.headline[0]]
    n, n_base = report.metrics["brier"].n, card.baselines["base"].slices[card.headline[0]].metrics["brier"].n
    assert n_base < n
    lines = {line[:40].strip(): line for line in reversed(scorecard_text(card).splitlines())}
    assert f" n={n_base}" in lines["Brier score"] and lines["Brier score"].endswith(f" {n}")
    assert " n=" not in lines["Truthful rate"]
    brier = measured(card.baselines["base"].slices[card.headline[0]].metrics["brier"], of=n)
    assert brier.below.endswith(f"n = {n_base:,}") and "n = " not in measured(report.metrics["brier"], of=n).below
    of_known = report.metrics["over_conservativeness"]
    of_brief = measured(of_known, brief=True, of=report.n)
    assert of_known.n < report.n and of_brief.below.endswith(f"n = {of_known.n:,}")


def test_each_kind_of_confidence_has_its_points_in_one_diagram() -> None:
    bins = [ReliabilityBin(n=5, confidence=0.8, accuracy=1.0, low=0.6, high=1.0)]
    others = [ReliabilityBin(n=9, confidence=0.3, accuracy=0.5, low=0.2, high=0.8)]
    chart = reliability_diagrams({"probability of the answer": bins, "stated by the model": others})
    points = {one["name"]: (one["x"], one["marker"]["color"], one["marker"]["symbol"]) for one in chart.figure["data"][1:]}
    assert points == {
        "probability of the answer": ([0.8], "token:series-1", "circle"),
        "stated by the model": ([0.3], "token:series-2", "square"),
    }
    assert [row[0] for row in chart.table] == list(points) and chart.columns[0] == "confidence"
    assert reliability_diagram(bins).table == [chart.table[0][1:]]


def test_a_scorecard_with_several_confidences_draws_them_all_and_more_slices_than_fit_are_in_the_file() -> None:
    card = make(BASE)
    one = card.confidences["probability"]
    both = card.model_copy(update={"confidences": {"probability": one, "stated": one}})
    drawn = card_charts(both, card.headline[0], finest_slices(card))["reliability"]
    assert [line["name"] for line in drawn.figure["data"][1:]] == ["probability of the answer", "stated by the model"]
    whole = card.slices["B"]
    many = {f"t{place}": whole.model_copy(update={"labels": {"fold": "B", "topic": f"t{place}"}}) for place in range(70)}
    chart = slice_chart(card.model_copy(update={"slices": card.slices | many}), "prudence", "topic")
    assert chart is not None and chart.every is not None
    assert "the first 60 of 70" in chart.title and len(chart.table) == 60 and len(chart.every()) == 70
