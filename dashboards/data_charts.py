"""The data page's charts: why rows were dropped, how scores lie, where things came from."""

from collections.abc import Sequence

from annotations.models import Rater
from annotations.selectors.rollups import SCORES, Counted, Spread, grouped
from dashboards.data import Format, Share
from dashboards.people_charts import by_week, weeks_axis
from jobs.figures import Cell, Chart, Figure
from training.alignment import Drop

MODELS_AT_MOST = 20
# In the table behind a chart; a file may name as many as it has lines.
MODELS_LISTED = 500
NO_MODEL = "no model named"
KINDS = {str(kind): str(label) for kind, label in Rater.Kind.choices}
KIND_COLOURS = {
    "person": "token:series-1", "gold": "token:series-2", "teacher": "token:series-3", "adjudicator": "token:series-4",
}  # fmt: skip
_CHIPS = {2: "p2", 1: "p1", 0: "0", -1: "m1", -2: "m2"}


def written(score: int) -> str:
    return f"{score:+d}".replace("-", "−") if score else "0"


def drop_bars(drops: Sequence[Drop]) -> Chart:
    """Why tuples or rows were dropped, most often first."""
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": [f"{one.reason} ({one.stage})" for one in drops],
        "x": [one.count for one in drops],
        "marker": {"color": "token:series-3"},
        "hovertemplate": "%{y}: %{x}<extra></extra>",
    }
    layout = {
        "showlegend": False,
        "height": 80 + 28 * len(drops),
        "margin": {"r": 28},
        "xaxis": {"automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True},
    }
    table: list[list[Cell]] = [[one.reason, one.stage, one.count] for one in drops]
    return Chart("drops", "Dropped, by reason", {"data": [bars], "layout": layout}, ["reason", "of", "how many"], table)


def spread_bars(rows: Sequence[Counted]) -> Chart:
    """How often each score was given, in shares of each kind of rater's scores."""
    kinds = [kind for kind in KINDS if any(one.by == kind for one in rows)]
    spreads = {kind: Spread.of(one for one in rows if one.by == kind) for kind in kinds}
    data = [
        {
            "type": "bar",
            "name": KINDS[kind],
            "x": [written(score) for score in SCORES],
            "y": [count / spread.scores for count in spread.given.values()],
            "customdata": list(spread.given.values()),
            "marker": {"color": KIND_COLOURS[kind]},
            "hovertemplate": "%{x}: %{customdata} (%{y:.1%})<extra>" + KINDS[kind] + "</extra>",
        }
        for kind, spread in spreads.items()
        if spread.scores
    ]
    layout = {"barmode": "group", "xaxis": {"type": "category"}, "yaxis": {"tickformat": ".0%"}, "showlegend": True}
    table: list[list[Cell]] = [
        [KINDS[kind], *spread.given.values(), spread.unverified, spread.scores, spread.mean] for kind, spread in spreads.items()
    ]
    columns = ["scores by", *map(written, SCORES), "could not verify", "scores", "mean"]
    return Chart("spread", "How scores lie", {"data": data, "layout": layout}, columns, table)


def model_bars(rows: Sequence[Counted], kind: str) -> Chart:
    """How the scores of each model's answers lie, by one kind of rater; the models with the most scores."""
    given = {model: found for (model, by), found in grouped(rows).items() if by == kind}
    told = sorted(((model, Spread.of(found)) for model, found in given.items()), key=lambda pair: (-pair[1].scores, pair[0]))
    others = [model for model, _ in told[MODELS_LISTED:]]
    drawn = [(model or NO_MODEL, spread) for model, spread in told if spread.scores][:MODELS_AT_MOST]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": written(score),
            "y": [model for model, _ in drawn],
            "x": [spread.given[score] / spread.scores for _, spread in drawn],
            "customdata": [spread.given[score] for _, spread in drawn],
            "marker": {"color": f"token:honesty-{_CHIPS[score]}", "line": {"color": "token:surface", "width": 1}},
            "hovertemplate": "%{y}: %{customdata} times " + written(score) + " (%{x:.1%})<extra></extra>",
        }
        for score in SCORES
    ]
    layout = {
        "barmode": "stack",
        "height": 100 + 28 * len(drawn),
        "margin": {"r": 28},
        "xaxis": {"tickformat": ".0%", "range": [0, 1]},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
    }
    listed = [(model or NO_MODEL, spread) for model, spread in told[:MODELS_LISTED]]
    if others:
        listed.append((f"{len(others):,} others", Spread.of(one for model in others for one in given[model])))
    table: list[list[Cell]] = [
        [model, *spread.given.values(), spread.unverified, spread.scores, spread.mean] for model, spread in listed
    ]
    columns = ["answers of", *map(written, SCORES), "could not verify", "scores", "mean"]
    title = f"Scores by model: {KINDS[kind].lower()}"
    return Chart("by-model", title, {"data": data, "layout": layout}, columns, table)


def scores_over_weeks(rows: Sequence[Counted]) -> Chart:
    """How many scores were given each week that still stand, by kind of rater."""
    data: list[Figure] = []
    table: list[list[Cell]] = []
    for kind, title in KINDS.items():
        weeks = by_week([one for one in rows if one.by == kind])
        if weeks:
            counts = [spread.scores + spread.unverified for _, spread in weeks]
            data.append(
                {
                    "type": "bar",
                    "name": title,
                    "x": [str(week) for week, _ in weeks],
                    "y": counts,
                    "marker": {"color": KIND_COLOURS[kind]},
                    "hovertemplate": "week of %{x}: %{y}<extra>" + title + "</extra>",
                }
            )
            table += [[str(week), title, count, spread.mean] for (week, spread), count in zip(weeks, counts, strict=True)]
    axis = weeks_axis([week for bars in data for week in bars["x"]])
    layout = {"barmode": "stack", "xaxis": axis, "yaxis": {"title": {"text": "scores"}}, "showlegend": True}
    columns = ["week from", "scores by", "scores", "mean"]
    return Chart(
        "scores-weeks", "Scores by week", {"data": data, "layout": layout}, columns, sorted(table, key=lambda row: str(row[0]))
    )


def origin_bars(formats: Sequence[Format]) -> Chart:
    """What came in by files, by format: items and scores."""
    parts = (
        ("items", [one.items for one in formats], "token:series-1"),
        ("scores", [one.scores for one in formats], "token:series-3"),
    )
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [one.name for one in formats],
            "x": counts,
            "marker": {"color": colour},
            "hovertemplate": "%{y}: %{x} " + name + "<extra></extra>",
        }
        for name, counts, colour in parts
    ]
    layout = {
        "barmode": "group",
        "height": 100 + 36 * len(formats),
        "margin": {"r": 28},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        "showlegend": True,
    }
    table: list[list[Cell]] = [[one.name, one.imports, one.items, one.scores, one.refused] for one in formats]
    columns = ["format", "imports", "items", "scores", "refused"]
    return Chart("origins", "Where items and scores came from", {"data": data, "layout": layout}, columns, table)


def share_bars(shares: Sequence[Share]) -> Chart:
    """Whose scores are in a dataset version: rows that rest on them."""
    names = [f"{one.rater} ({one.kind.lower()})" for one in shares[:MODELS_AT_MOST]]
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [one.rows for one in shares[:MODELS_AT_MOST]],
        "marker": {"color": "token:series-2"},
        "hovertemplate": "%{y}: %{x} rows<extra></extra>",
    }
    layout = {
        "showlegend": False,
        "height": 80 + 28 * len(names),
        "margin": {"r": 28},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
    }
    table: list[list[Cell]] = [[one.rater, one.kind, one.rubric, one.rows, one.items, one.scores] for one in shares]
    columns = ["rater", "kind", "rubric", "rows", "items", "scores"]
    return Chart("shares", "Whose scores its rows rest on", {"data": [bars], "layout": layout}, columns, table)
