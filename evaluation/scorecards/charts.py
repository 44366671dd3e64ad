"""Charts of scorecards; colours are names of the design's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from annotations.verdicts import Verdict
from evaluation.metrics import Metric
from evaluation.scorecards.scorecard import MetricValue, ReliabilityBin, Scorecard, SliceReport
from jobs.figures import Cell, Chart, Figure, Measured, error_bars

VERDICT_TITLES: dict[Verdict, str] = {
    Verdict.CORRECT: "correct",
    Verdict.HEDGED_CORRECT: "hedged, correct",
    Verdict.ABSTAINED: "abstained",
    Verdict.HEDGED_WRONG: "hedged, wrong",
    Verdict.WRONG: "wrong",
    Verdict.UNPARSABLE: "cannot be parsed",
}
_COLOURS: dict[Verdict, str] = {
    Verdict.CORRECT: "token:honesty-p2",
    Verdict.HEDGED_CORRECT: "token:honesty-p1",
    Verdict.ABSTAINED: "token:honesty-0",
    Verdict.HEDGED_WRONG: "token:honesty-m1",
    Verdict.WRONG: "token:honesty-m2",
    Verdict.UNPARSABLE: "token:surface-2",
}
_PERCENT = {"tickformat": ".0%", "range": [0, 1]}


def scorecard_charts(card: Scorecard, chosen: str, finest: Mapping[str, SliceReport]) -> dict[str, Chart]:
    """The charts of one scorecard, by name: those of the page, and of the report. `chosen` is the slice that is looked at."""
    return {
        "verdicts": verdict_bars(finest),
        "reliability": reliability_diagram(card.reliability),
        "rubric": rubric_histogram(card.slices[chosen].rubric),
    }


def verdict_bars(reports: Mapping[str, SliceReport], *, of: str = "slice") -> Chart:
    """One bar for each slice (or whatever the reports are `of`), cut by verdict: what is done, before any metric sums it up."""
    names = list(reports)
    data = []
    for verdict, title in VERDICT_TITLES.items():
        counts = [report.verdicts.get(verdict.value, 0) for report in reports.values()]
        if any(counts):
            data.append(_verdict_trace(verdict, title, names, counts, [report.n for report in reports.values()]))
    layout = {
        "barmode": "stack",
        "bargap": 0.35,
        "margin": {"r": 28},
        "xaxis": {**_PERCENT, "automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True},
    }
    table: list[list[Cell]] = [
        [name, *(one.verdicts.get(verdict.value, 0) for verdict in VERDICT_TITLES), one.n] for name, one in reports.items()
    ]
    columns = [of, *VERDICT_TITLES.values(), "n"]
    return Chart("verdicts", f"Verdicts by {of}", {"data": data, "layout": layout}, columns, table)


def _verdict_trace(verdict: Verdict, title: str, names: list[str], counts: list[int], totals: list[int]) -> Figure:
    pattern = {"shape": "/", "fgcolor": "token:hatch"} if verdict is Verdict.UNPARSABLE else {}
    return {
        "type": "bar",
        "orientation": "h",
        "name": title,
        "y": names,
        "x": [count / total for count, total in zip(counts, totals, strict=True)],
        "customdata": counts,
        "hovertemplate": "%{y}: %{customdata} " + title + " (%{x:.1%})<extra></extra>",
        "marker": {"color": _COLOURS[verdict], "pattern": pattern, "line": {"color": "token:surface", "width": 1}},
    }


def reliability_diagram(bins: Sequence[ReliabilityBin]) -> Chart:
    """Accuracy against mean confidence, a point a bin; on the diagonal a model is as right as it is sure."""
    chart = reliability_diagrams({"answers": bins})
    return replace(chart, columns=chart.columns[1:], table=[row[1:] for row in chart.table])


def reliability_diagrams(by_source: Mapping[str, Sequence[ReliabilityBin]]) -> Chart:
    """The same of several kinds of confidence, each by its title: a colour and a mark a kind."""
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "name": "perfectly calibrated",
        "x": [0, 1],
        "y": [0, 1],
        "hoverinfo": "skip",
        "line": {"color": "token:muted", "dash": "dot", "width": 1},
    }
    points = [_bins(title, bins, place) for place, (title, bins) in enumerate(by_source.items())]
    layout = {
        "xaxis": {"title": {"text": "confidence"}, "tickformat": ".0%", "range": [-0.03, 1.03]},
        "yaxis": {"title": {"text": "share right"}, "tickformat": ".0%", "range": [-0.03, 1.03]},
    }
    return Chart(
        "reliability",
        "Share right by confidence",
        {"data": [diagonal, *points], "layout": layout},
        ["confidence", "mean confidence", "share right", "n"],
        [
            [title, one.confidence, Measured(one.accuracy, one.low, one.high), one.n]
            for title, bins in by_source.items()
            for one in bins
        ],
    )


def _bins(title: str, bins: Sequence[ReliabilityBin], place: int) -> Figure:
    colour = f"token:series-{place % 6 + 1}"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": [one.confidence for one in bins],
        "y": [one.accuracy for one in bins],
        "customdata": [one.n for one in bins],
        "hovertemplate": "sure %{x:.0%}, right %{y:.0%} (%{customdata} answers)<extra>" + title + "</extra>",
        "marker": {"size": 9, "color": colour, "symbol": ("circle", "square", "diamond")[place % 3]},
        "error_y": error_bars([Measured(one.accuracy, one.low, one.high) for one in bins], colour),
    }


def rubric_histogram(counts: Mapping[str, int]) -> Chart:
    """How many answers earned each rubric score; what could not be scored is hatched."""
    colours = {"+2": "p2", "+1": "p1", "0": "0", "-1": "m1", "-2": "m2"}
    names = ["-2", "-1", "0", "+1", "+2", "not scored"]
    labels = [name.replace("-", "−") for name in names]
    marker = {
        "color": [f"token:honesty-{colours[name]}" if name in colours else "token:surface-2" for name in names],
        "pattern": {"shape": ["" if name in colours else "/" for name in names], "fgcolor": "token:hatch"},
    }
    bars = {
        "type": "bar",
        "x": labels,
        "y": [counts.get(name, 0) for name in names],
        "hovertemplate": "%{x}: %{y} answers<extra></extra>",
        "marker": marker,
    }
    layout = {"xaxis": {"type": "category"}, "yaxis": {"title": {"text": "answers"}}, "bargap": 0.25}
    table: list[list[Cell]] = [[label, counts.get(name, 0)] for name, label in zip(names, labels, strict=True)]
    return Chart("rubric", "Answers by rubric score", {"data": [bars], "layout": layout}, ["rubric score", "answers"], table)


def interval_dots(values: Mapping[str, Mapping[str, MetricValue]]) -> Chart:
    """Metrics (rows) of several models (colours) with their intervals, all on one 0…1 axis."""
    data = []
    for index, (model, metrics) in enumerate(values.items()):
        shown = {title: metric for title, metric in metrics.items() if metric.value is not None}
        data.append(_dots(model, shown, index, len(values)))
    titles = list(next(iter(values.values()), {}))
    layout = {
        "margin": {"r": 28},
        "xaxis": {**_PERCENT, "range": [-0.03, 1.03]},
        "yaxis": {
            "tickvals": list(range(len(titles))),
            "ticktext": titles,
            "range": [len(titles) - 0.4, -0.6],
            "automargin": True,
            "zeroline": False,
        },
    }
    for trace in data:
        trace["y"] = [titles.index(title) + trace["meta"]["offset"] for title in trace["customdata"]]
    table: list[list[Cell]] = [[title, *(_measured(metrics[title]) for metrics in values.values())] for title in titles]
    return Chart("metrics", "Metrics by model, with intervals", {"data": data, "layout": layout}, ["metric", *values], table)


def slice_dots(metric: Metric[Any], values: Mapping[str, Mapping[str, MetricValue]]) -> Chart:
    """One metric of each slice (rows) and model (colours) with its interval."""
    models = list(next(iter(values.values()), {}))
    by_model = {model: {name: row[model] for name, row in values.items()} for model in models}
    chart = interval_dots(by_model)
    layout = chart.figure["layout"] | {"height": 80 + 30 * len(values)}
    if metric.low < 0 or metric.high > 1:
        layout["xaxis"] = {"automargin": True}
    arrow = {"higher": " ↑", "lower": " ↓"}.get(metric.better, "")
    title = f"{metric.title}{arrow} by slice"
    return Chart("slices", title, chart.figure | {"layout": layout}, ["slice", *models], chart.table)


def _measured(metric: MetricValue) -> Measured:
    return Measured(metric.value, metric.low, metric.high)


def _dots(model: str, metrics: Mapping[str, MetricValue], index: int, of: int) -> Figure:
    colour = f"token:series-{index % 6 + 1}"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": model,
        "x": [metric.value for metric in metrics.values()],
        "customdata": list(metrics),
        "hovertemplate": "%{customdata}: %{x:.3f}<extra>" + model + "</extra>",
        "marker": {
            "color": colour,
            "size": 9,
            "symbol": ["circle", "square", "diamond", "triangle-up", "cross", "x"][index % 6],
        },
        "error_x": error_bars([_measured(metric) for metric in metrics.values()], colour),
        "meta": {"offset": (index - (of - 1) / 2) * 0.18},
    }
