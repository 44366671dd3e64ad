"""The people page's charts: agreement with intervals, who scores higher or lower than others, and how that drifts."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from annotations.selectors.rollups import Counted, Spread
from annotations.statistics.ratings import RELIABLE, TENTATIVE
from dashboards.course_charts import colour
from dashboards.people import Agreed, Person
from jobs.figures import Cell, Chart, Figure, Link, Measured, error_bars

LEANING = 0.25


def dots_across(names: Sequence[str], values: Sequence[Measured], *, marks: Sequence[float] = (), **axis: Any) -> Figure:
    """A row a name, a dot with its interval where it was measured; dotted lines at `marks`."""
    known = [place for place, one in enumerate(values) if one.value is not None]
    trace: Figure = {
        "type": "scatter",
        "mode": "markers",
        "x": [values[place].value for place in known],
        "y": [names[place] for place in known],
        "marker": {"color": "token:series-1", "size": 9},
        "error_x": error_bars([values[place] for place in known], "token:series-1"),
        "hovertemplate": "%{y}: %{x:.2f}<extra></extra>",
    }
    lines = [
        {
            "type": "line",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": at,
            "x1": at,
            "line": {"color": "token:muted", "width": 1, "dash": "dot"},
        }
        for at in marks
    ]
    layout = {
        "showlegend": False,
        "height": 90 + 26 * len(known),
        "margin": {"r": 28},
        "xaxis": axis,
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        "shapes": lines,
    }
    return {"data": [trace], "layout": layout}


def weeks_axis(weeks: Sequence[str]) -> Figure:
    """An axis of dates that is never narrower than two weeks: of a single one Plotly would show fractions of a second."""
    if not weeks:
        return {"type": "date"}
    first, last = date.fromisoformat(min(weeks)), date.fromisoformat(max(weeks))
    return {"type": "date", "range": [str(first - timedelta(days=7)), str(last + timedelta(days=7))]}


def _alpha_axis(values: Sequence[Measured]) -> Figure:
    lows = [one.value if one.low is None else one.low for one in values if one.value is not None]
    return {"title": {"text": "α"}, "range": [min([0.0, *(low for low in lows if low is not None)]) - 0.02, 1.02]}


def alpha_by_project(projects: Sequence[Agreed], addresses: Sequence[str]) -> Chart:
    """Ordinal α of each project's people with its interval, and the customary lines."""
    told = [one for one in projects if one.alpha.value is not None]
    alphas = [one.alpha for one in told]
    figure = dots_across([one.project.name for one in told], alphas, marks=(TENTATIVE, RELIABLE), **_alpha_axis(alphas))
    table: list[list[Cell]] = [
        [Link(one.project.name, url), one.alpha, one.reading, one.items if one.computed_at else None, one.scores]
        for one, url in zip(projects, addresses, strict=True)
    ]
    columns = ["project", "ordinal α", "customarily", "items scored twice", "people’s scores"]
    return Chart("alpha", "Agreement by project", figure, columns, table)


def alpha_by_dimension(rows: Sequence[dict[str, Any]]) -> Chart:
    """α of the overall score and of each dimension, with other measures of agreement behind it."""
    names = [one["name"].replace("_", " ") for one in rows]
    alphas = [_estimate(one["alpha"]) for one in rows]
    figure = dots_across(names, alphas, marks=(TENTATIVE, RELIABLE), **_alpha_axis(alphas))
    table: list[list[Cell]] = [
        [name, alpha, _estimate(one["kappa"]), _estimate(one["exact"]), _estimate(one["within_one"]), one["alpha"]["items"]]
        for name, alpha, one in zip(names, alphas, rows, strict=True)
    ]
    columns = ["of", "ordinal α", "κ, quadratic", "exactly the same", "within one step", "items"]
    return Chart("alpha-dimensions", "Agreement by dimension", figure, columns, table)


def _estimate(found: dict[str, Any]) -> Measured:
    interval = found.get("interval") or {}
    return Measured(found["value"], interval.get("low"), interval.get("high"))


def bias_by_person(people: Sequence[Person]) -> Chart:
    """How far each one's scores lie above or below the others' of the same items, with its interval."""
    told = [one for one in people if one.bias.value is not None]
    figure = dots_across(
        [one.name for one in told], [one.bias for one in told], marks=(0.0,), title={"text": "above or below the others"}
    )
    table: list[list[Cell]] = [[one.name, one.bias, one.kappa, one.gold, one.spread.scores, one.spread.mean] for one in people]
    columns = ["annotator", "above or below", "κ against the others", "right on gold", "scores now", "mean score"]
    return Chart("bias", "Who scores higher or lower than the others", figure, columns, table)


def bias_over_weeks(people: Sequence[Person], weekly: Mapping[int, Sequence[Mapping[str, Any]]]) -> Chart:
    """The same over time, a line a person; a stretch without a score that others gave too leaves a gap."""
    lines: list[Figure] = []
    table: list[list[Cell]] = []
    for place, one in enumerate(people):
        rows = weekly.get(one.rater, ())
        lines.append(_line(one.name, place, [row["start"] for row in rows], [row["bias"] for row in rows]))
        table += [[one.name, row["start"], row["bias"], row["within_one"], row["scores"]] for row in rows]
    weeks = [week for line in lines for week in line["x"]]
    layout = {"xaxis": weeks_axis(weeks), "yaxis": {"zeroline": True, "automargin": True}, "showlegend": True}
    columns = ["annotator", "from", "above or below", "within one step", "scores"]
    return Chart("bias-weeks", "Above or below the others, over time", {"data": lines, "layout": layout}, columns, table)


def mean_over_weeks(people: Sequence[Person], weekly: Sequence[Counted]) -> Chart:
    """Each one's mean score a week, of all their scores: what they were given to score changes it too."""
    lines: list[Figure] = []
    table: list[list[Cell]] = []
    for place, one in enumerate(people):
        weeks = by_week([row for row in weekly if row.by == one.rater])
        middles = [middle_of(week).isoformat(" ") for week, _ in weeks]
        line = _line(one.name, place, middles, [spread.mean for _, spread in weeks])
        hover = "the week from %{text}: %{y:+.2f}<extra>" + one.name + "</extra>"
        lines.append(line | {"text": [str(week) for week, _ in weeks], "hovertemplate": hover})
        table += [[one.name, str(week), spread.mean, spread.scores, spread.unverified] for week, spread in weeks]
    drawn = [week for line in lines for week in line["text"]]
    layout = {"xaxis": weeks_axis(drawn), "yaxis": {"range": [-2.1, 2.1], "zeroline": True}, "showlegend": True}
    columns = ["annotator", "week from", "mean score", "scores", "could not verify"]
    return Chart("mean-weeks", "Mean score by week", {"data": lines, "layout": layout}, columns, table)


def middle_of(week: date) -> datetime:
    """Where a week's scores stand over time, in every chart: after a run of its first days, which they may be about."""
    return datetime.combine(week, time()) + timedelta(days=3, hours=12)


def by_week(rows: Sequence[Counted]) -> list[tuple[date, Spread]]:
    """What was given in each week, oldest first."""
    weeks: dict[date, list[Counted]] = {}
    for one in rows:
        if one.week is not None:
            weeks.setdefault(one.week, []).append(one)
    return [(week, Spread.of(found)) for week, found in sorted(weeks.items())]


def _line(name: str, place: int, x: Sequence[str], y: Sequence[float | None]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour(place), "width": 1.4, "dash": "solid" if place < 6 else "dash"},
        "marker": {"color": colour(place), "size": 5},
        "hovertemplate": "%{x}: %{y:+.2f}<extra>" + name + "</extra>",
    }
