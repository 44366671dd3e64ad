from __future__ import annotations

import json

import pytest

from evaluation.scorecards.charts import interval_dots, reliability_diagram, rubric_histogram, verdict_bars
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
