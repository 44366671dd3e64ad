"""The dashboard's charts as Plotly figures (plain dicts); colours are names of the design's tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """A metric of one model with its interval; `value` is None where it could not be measured."""

    value: float | None
    low: float | None
    high: float | None


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


def honesty_trend(models: Sequence[str], readings: Sequence[Mapping[str, Reading]]) -> Figure:
    """Each model's headline shares, oldest first, with interval bars. What was not measured leaves a gap, never a zero."""
    data = [_line(line, models, [one.get(line.metric, Reading(None, None, None)) for one in readings]) for line in LINES]
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
    return {"data": [trace for trace in data if any(value is not None for value in trace["y"])], "layout": layout}


def _line(line: TrendLine, models: Sequence[str], readings: Sequence[Reading]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.title,
        "x": list(models),
        "y": [one.value for one in readings],
        "line": {"color": line.colour, "dash": line.dash, "width": 1.5},
        "marker": {"color": line.colour, "symbol": line.symbol, "size": 8},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [_gap(one.high, one.value) for one in readings],
            "arrayminus": [_gap(one.value, one.low) for one in readings],
            "color": line.colour,
            "thickness": 1.2,
            "width": 4,
        },
        "hovertemplate": "%{y:.1%}",
    }


def _gap(upper: float | None, lower: float | None) -> float:
    return upper - lower if upper is not None and lower is not None else 0.0
