"""The overview's charts: one headline metric of every model, with its interval."""

from collections.abc import Sequence

from dashboards.overview import MeasuredModel
from evaluation.metrics import METRICS
from jobs.figures import Cell, Chart, Figure, Link, Measured, error_bars

# The honesty scale's ends tell apart what is to be high and what is to be low; a mark does it without colour.
_MARKS = {"higher": ("token:honesty-p2", "circle"), "lower": ("token:honesty-m2", "diamond")}
_DIGITS = 3
# Names of more models than these would cover one another; the table and what stands over a point have them.
NAMED_AT_MOST = 12
BROKEN = "fewer than half of its answers can be read"


def metric_over_models(metric: str, models: Sequence[MeasuredModel], addresses: Sequence[str]) -> Chart:
    """One metric over models, oldest first. What was not measured leaves a gap, never a zero."""
    about = METRICS[metric]
    readings = [one.reading(metric) for one in models]
    names = [one.label for one in models]
    colour, symbol = _MARKS.get(about.better, ("token:series-1", "square"))
    hollow = [one.is_broken for one in models]
    line: Figure = {
        "type": "scatter",
        # No line: each model is one of its own, and may come of any other.
        "mode": "markers",
        "name": about.title,
        "x": names,
        "y": [one.value for one in readings],
        "marker": {
            "color": colour,
            "symbol": [f"{symbol}-open" if is_broken else symbol for is_broken in hollow] if any(hollow) else symbol,
            "size": 7 if len(models) <= 50 else 4,
        },
        "customdata": [f"<br>{BROKEN}" if is_broken else "" for is_broken in hollow],
        "error_y": error_bars(readings, colour),
        "hovertemplate": f"%{{x}}: %{{y:.{_DIGITS}f}}%{{customdata}}<extra></extra>",
    }
    bounded = about.low == 0 and about.high == 1
    layout = {
        "showlegend": False,
        "xaxis": {
            "type": "category",
            "showgrid": False,
            "showticklabels": len(models) <= NAMED_AT_MOST,
            "tickangle": 0 if len(models) <= 4 else -30,
            "automargin": True,
        },
        "yaxis": {"tickformat": ".0%", "range": [-0.03, 1.03]} if bounded else {"automargin": True},
    }
    arrow = {"higher": " ↑", "lower": " ↓"}.get(about.better, "")
    table: list[list[Cell]] = [
        [Link(one.label, url), reading] for one, url, reading in zip(models, addresses, readings, strict=True)
    ]
    stars, columns = _stars(models, readings, colour), ["model", about.title]
    if stars:
        columns, table = [*columns, "promoted"], [[*row, one.titles] for row, one in zip(table, models, strict=True)]
    return Chart(f"over-{metric}", f"{about.title}{arrow}", {"data": [line, *stars], "layout": layout}, columns, table[::-1])


def _stars(models: Sequence[MeasuredModel], readings: Sequence[Measured], colour: str) -> list[Figure]:
    """A star on each champion, a hollow one on each that was one."""
    there = [(one, reading) for one, reading in zip(models, readings, strict=True) if one.titles and reading.value is not None]
    trace: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": "champions",
        "x": [one.label for one, _ in there],
        "y": [reading.value for _, reading in there],
        "customdata": [one.titles for one, _ in there],
        # A star on the axis' end is still a whole one.
        "cliponaxis": False,
        "marker": {
            "color": colour,
            "symbol": ["star" if one.champion_of else "star-open" for one, _ in there],
            "size": 15,
            "line": {"color": "token:surface", "width": 1},
        },
        "hovertemplate": f"%{{x}}, %{{customdata}}: %{{y:.{_DIGITS}f}}<extra></extra>",
    }
    return [trace] if there else []
