"""Charts of annotation quality as Plotly figures (plain dicts); colours are names of the design's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotations.statistics.ratings import RELIABLE, SCORES, TENTATIVE

Figure = dict[str, Any]
Row = Mapping[str, Any]

_CHIPS = {2: "token:honesty-p2", 1: "token:honesty-p1", 0: "token:honesty-0", -1: "token:honesty-m1", -2: "token:honesty-m2"}


def agreement_over_time(rows: Sequence[Row]) -> Figure:
    """α of each stretch of time with its interval, between the customary lines; a stretch without one leaves a gap."""
    known = [row for row in rows if row["alpha"]["value"] is not None]
    values = [row["alpha"]["value"] for row in known]
    points = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "ordinal α",
        "x": [row["start"] for row in known],
        "y": values,
        "customdata": [row["alpha"]["items"] for row in known],
        "hovertemplate": "%{x}: α %{y:.2f} (%{customdata} items)<extra></extra>",
        "line": {"color": "token:series-1"},
        "error_y": _error_bars([row["alpha"] for row in known]),
    }
    lows = [row["alpha"]["interval"]["low"] for row in known if row["alpha"]["interval"]]
    layout = {
        "showlegend": False,
        "margin": {"r": 70},
        "xaxis": {"type": "date"},
        "yaxis": {"range": [min([0.0, *lows, *values]) - 0.02, 1.02], "title": {"text": "α"}},
        "shapes": [_line(RELIABLE), _line(TENTATIVE)],
        "annotations": [_label(RELIABLE, "reliable", "bottom"), _label(TENTATIVE, "tentative", "top")],
    }
    return {"data": [points], "layout": layout}


def _error_bars(estimates: Sequence[Row]) -> Figure:
    ends = [(one["value"], one["interval"] or {"low": one["value"], "high": one["value"]}) for one in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": [ends["high"] - value for value, ends in ends],
        "arrayminus": [value - ends["low"] for value, ends in ends],
        "color": "token:series-1",
        "thickness": 1,
        "width": 3,
    }


def _line(at: float) -> Figure:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at,
        "line": {"color": "token:muted", "width": 1, "dash": "dot"},
    }  # fmt: skip


def _label(at: float, text: str, side: str) -> Figure:
    # Right of the points, on the sides of the two lines that face away from each other.
    return {"xref": "paper", "x": 1, "xanchor": "left", "y": at, "yanchor": side, "text": text, "showarrow": False}


def disagreement_bars(histogram: Sequence[int], unanimous: int) -> Figure:
    """How many items have how far differing scores; those whose scores are all the same stand on their own."""
    width = 1 / len(histogram)
    names = ["none", *(f"{place * width:.0%}–{(place + 1) * width:.0%}".replace("%–", "–") for place in range(len(histogram)))]
    bars = {
        "type": "bar",
        "x": names,
        "y": [unanimous, histogram[0] - unanimous, *histogram[1:]],
        "hovertemplate": "%{y} items: %{x}<extra></extra>",
        "marker": {"color": "token:series-1"},
    }
    layout = {
        "showlegend": False,
        "xaxis": {
            "type": "category",
            "title": {"text": "mean difference of two scores, of the scale’s width"},
            "automargin": True,
        },
        "yaxis": {"title": {"text": "items"}},
    }
    return {"data": [bars], "layout": layout}


def score_bars(given: Sequence[int]) -> Figure:
    """How often each score was given."""
    bars = {
        "type": "bar",
        "x": [f"{score:+d}".replace("-", "−") if score else "0" for score in SCORES],
        "y": list(given),
        "hovertemplate": "%{x}: %{y} scores<extra></extra>",
        "marker": {"color": [_CHIPS[score] for score in SCORES]},
    }
    return {
        "data": [bars],
        "layout": {"showlegend": False, "xaxis": {"type": "category"}, "yaxis": {"title": {"text": "scores"}}},
    }


def bias_over_time(rows: Sequence[Row]) -> Figure:
    """How far one annotator's scores lie above or below the others', a point a stretch of time, larger for more scores."""
    known = [row for row in rows if row["bias"] is not None]
    points = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [row["start"] for row in known],
        "y": [row["bias"] for row in known],
        "customdata": [row["compared"] for row in known],
        "hovertemplate": "%{x}: %{y:+.2f} (%{customdata} scores)<extra></extra>",
        "line": {"color": "token:series-1"},
    }
    farthest = max([1.0, *(abs(row["bias"]) for row in known)])
    layout = {
        "showlegend": False,
        "margin": {"r": 70},
        "xaxis": {"type": "date"},
        "yaxis": {"range": [-farthest - 0.1, farthest + 0.1], "zeroline": True},
    }
    return {"data": [points], "layout": layout}
