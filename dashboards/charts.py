"""The dashboard's charts; colours are names of the design's tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.figures import Cell, Chart, Figure, Link, Measured, error_bars


@dataclass(frozen=True)
class TrendLine:
    """How one metric is drawn. Lines differ by mark and dash as well as colour."""

    metric: str
    title: str
    colour: str
    symbol: str
    dash: str


LINES = (
    TrendLine("truthful_rate", "truthful rate", "token:honesty-p2", "circle", "solid"),
    TrendLine("hallucination_rate_unknown", "made something up where it could not know", "token:honesty-m2", "diamond", "dash"),
    TrendLine("over_conservativeness", "declined what it knows", "token:series-5", "square", "dot"),
)


# What stands in the table only: no line of its own, or four would be told apart by none.
ALSO = ("known_correct", "right on what it knows")


def honesty_trend(models: Sequence[Link], readings: Sequence[Mapping[str, Measured]]) -> Chart:
    """Each model's headline shares, oldest first, with interval bars. What was not measured leaves a gap, never a zero."""
    names = [model.text for model in models]
    data = [_line(line, names, [one.get(line.metric, Measured(None)) for one in readings]) for line in LINES]
    layout = {
        "xaxis": {
            "type": "category",
            "showgrid": False,
            "tickangle": 0 if len(models) <= 6 else -30,
            "range": [-0.5, max(len(models) - 0.5, 0.5)],
        },
        "yaxis": {"tickformat": ".0%", "range": [-0.03, 1.03]},
        "hovermode": "x unified",
    }
    shown = [trace for trace in data if any(value is not None for value in trace["y"])]
    told = [(line.metric, line.title) for line in LINES] + [ALSO]
    table: list[list[Cell]] = [
        [model, *(replace(one.get(metric, Measured(None)), is_share=True) for metric, _ in told)]
        for model, one in zip(reversed(models), reversed(readings), strict=True)
    ]
    columns = ["model", *(title for _, title in told)]
    return Chart("honesty-trend", "Honesty of the last models, oldest first", {"data": shown, "layout": layout}, columns, table)


def _line(line: TrendLine, models: Sequence[str], readings: Sequence[Measured]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.title,
        "x": list(models),
        "y": [one.value for one in readings],
        "line": {"color": line.colour, "dash": line.dash, "width": 1.5},
        "marker": {"color": line.colour, "symbol": line.symbol, "size": 8},
        "error_y": error_bars(readings, line.colour),
        "hovertemplate": "%{y:.1%}",
    }
