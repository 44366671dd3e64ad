"""Pictures without a browser: every chart of the site is drawn, and nothing that is not known is left out silently."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from annotations import charts as quality_charts
from annotations.selectors.rollups import Counted
from dashboards import drift_charts, overview_charts
from dashboards.charts import honesty_trend
from dashboards.drift import BENCHMARK, WHO, Drift, Rewarded
from dashboards.paid import Paid, Payment, Reward
from evaluation.scorecards import charts as scorecard_charts
from evaluation.scorecards.part_charts import card_charts
from evaluation.selectors import finest_slices
from jobs.figures import Chart, Link, Measured
from jobs.pictures import NotDrawn, colours, png_of, print_of, svg_of
from tests.evaluation.scorecards.test_scorecard import BASE, make
from training.reward_charts import algebra_chart
from training.rewards.algebra import readings, shapes

WEEK = {"start": "2026-05-04", "alpha": {"value": 0.7, "interval": {"low": 0.6, "high": 0.8}, "items": 9}, "scores": 20}
BIAS = {"start": "2026-05-04", "bias": 0.2, "compared": 9, "scores": 20, "within_one": 0.9}


def drift_and_overview() -> list[Chart]:
    at = datetime(2026, 5, 6, tzinfo=UTC)
    course = [Payment(at + timedelta(hours=hour), hour / 10) for hour in range(3)]
    paid = Paid(Reward(0, 0.2, is_chance=False), course, Reward(0, 0.2, is_chance=False), course)
    about = SimpleNamespace(artifact=SimpleNamespace(name="a"), base=None)
    nothing = {who: Measured(None) for who in (*WHO, BENCHMARK)}
    told = {**nothing, "people": Measured(1.0, 0.5, 1.5), BENCHMARK: Measured(0.4, 0.2, 0.6)}
    models = [Rewarded(about, paid, told, nothing)]  # type: ignore[arg-type]
    weeks = [Counted("person", date(2026, 5, 4), 1, 12, 12.0), Counted("gold", date(2026, 5, 11), 0, 9, 0.0)]
    drift = drift_charts.drift_over_time(weeks, Drift(models, None, [], {"a": (at, Measured(0.4, 0.2, 0.6))}, []))
    first, second = (
        SimpleNamespace(
            label=name, reading=lambda _: Measured(0.2, 0.1, 0.3), is_broken=not is_now, titles=titles, champion_of=["p"] * is_now
        )
        for name, titles, is_now in (("a", "was champion of p", 0), ("b", "champion of p", 1))
    )
    overview = overview_charts.metric_over_models("brier", [first, second], ["/a/", "/b/"])  # type: ignore[list-item]
    return [drift, drift_charts.scores_over_models(models), drift_charts.rewards_over_models(models), overview]


def test_two_panels_share_what_lies_across_and_two_scales_in_one_are_refused():
    drift = drift_and_overview()[0]
    text = svg_of(drift)
    assert text.count('id="drift-axes_') == 2 and "mean score" in text and "reward</text>" in text
    layout = drift.figure["layout"] | {"yaxis2": {"overlaying": "y"}, "yaxis": {}}
    with pytest.raises(NotDrawn, match="two scales"):
        svg_of(replace(drift, figure=drift.figure | {"layout": layout}))


def charts() -> list[Chart]:
    card = make(BASE, BASE)
    drawn = card_charts(card, card.headline[0], finest_slices(card))
    metrics = {title: card.metrics[title] for title in ("truthful_rate", "prudence")}
    return [
        *drawn.values(),
        scorecard_charts.interval_dots({"base": metrics, "trained": metrics}),
        honesty_trend([Link("a", "/"), Link("b", "/")], [{"truthful_rate": Measured(0.5, 0.4, 0.6)}, {}]),
        *drift_and_overview(),
        quality_charts.agreement_over_time([WEEK, {**WEEK, "start": "2026-05-11"}]),
        quality_charts.disagreement_bars([3, 2, 1, 0], 2),
        quality_charts.score_bars([1, 2, 3, 4, 5]),
        quality_charts.bias_over_time([BIAS, {**BIAS, "start": "2026-05-11", "bias": None}]),
        *(algebra_chart(reading, f"algebra-{shape.name}") for shape in shapes()[:1] for reading in readings(shape)),
    ]


def test_every_chart_of_the_site_is_drawn_with_its_words_in_the_colours_of_both_themes():
    for chart in charts():
        text = svg_of(chart)
        ElementTree.fromstring(text)
        assert f'aria-label="{chart.title}"' in text and "<style" not in text
        assert all(f'id="{chart.id}-' in one for one in re.findall(r'id="[^"]+', text))
        names = [trace["name"] for trace in chart.figure["data"] if trace.get("name")]
        if len(names) > 1 and chart.figure["layout"].get("showlegend", True):
            assert all(name in text for name in names), chart.id
        bare = re.sub(r"var\(--[a-z0-9-]+, #[0-9a-f]{6}\)", "", text)
        assert not re.search(r"(?:fill|stroke): #(?!000000|ffffff)", bare), f"{chart.id} has a colour that no theme changes"


def test_the_same_chart_gives_the_same_bytes_and_paper_has_its_colours_written_out():
    chart = quality_charts.score_bars([1, 2, 3, 4, 5])
    assert svg_of(chart) == svg_of(chart)
    printed = print_of(chart).decode()
    assert "var(" not in printed and colours("light")["honesty-p2"] in printed
    assert png_of(chart, theme="dark").startswith(b"\x89PNG") and png_of(chart) != png_of(chart, theme="dark")


def test_words_are_words():
    chart = Chart("a", 'A "title" & <b>', {"data": [{"x": ["$x$ <i>", "b"], "y": [1, None], "name": "n"}], "layout": {}}, [], [])
    text = svg_of(chart)
    ElementTree.fromstring(text)
    assert "$x$ &lt;i&gt;" in text and 'aria-label="A &quot;title&quot; &amp; &lt;b&gt;"' in text


@pytest.mark.parametrize(
    "figure",
    [
        {"data": [{"type": "heatmap", "x": [1], "y": [1], "z": [[1]]}], "layout": {}},
        {"data": [], "layout": {"shapes": [{"type": "rect"}]}},
        {"data": [{"x": [1], "y": [1], "mode": "markers", "marker": {"symbol": "hexagram"}}], "layout": {}},
    ],
)
def test_what_it_cannot_draw_is_refused(figure):
    with pytest.raises(NotDrawn):
        svg_of(Chart("a", "a", figure, [], []))
