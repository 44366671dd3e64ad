"""The drift page's charts: what is said of answers and what was paid for them, over one axis of time, and model by model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from annotations.selectors.rollups import Counted
from dashboards.data_charts import KINDS
from dashboards.drift import BENCHMARK, Drift, Rewarded, mean_of
from dashboards.paid import Payment
from dashboards.people_charts import by_week, middle_of
from jobs.figures import Cell, Chart, Figure, Measured, error_bars

# By who says it: its title, colour and mark. A scorecard is judged by gold answers too, so it has their colour.
SAID = {
    "people": ("people", "token:series-1", "circle"),
    "gold": ("gold answers", "token:series-2", "diamond"),
    "teachers": ("teachers", "token:series-3", "square"),
    BENCHMARK: ("scorecard (gold)", "token:series-2", "triangle-up-open"),
}
KIND_MARKS = {
    "person": ("token:series-1", "circle"),
    "gold": ("token:series-2", "diamond"),
    "teacher": ("token:series-3", "square"),
    "adjudicator": ("token:series-4", "x"),
}
POLICY, REWARD_MODEL = ("policy reward", "token:series-6", "circle"), ("reward model", "token:series-5", "square")
SCALE = {"range": [-2.1, 2.1], "zeroline": True, "title": {"text": "mean score"}}
MARGIN = timedelta(hours=12)


@dataclass
class _Line:
    """Some points over time of one thing, as they are drawn and as the table has them; None leaves a gap."""

    name: str
    mark: tuple[str, str]
    at: list[datetime | None] = field(default_factory=list)
    values: list[Measured] = field(default_factory=list)
    of: list[str] = field(default_factory=list)
    scores: list[int | None] = field(default_factory=list)

    def add(self, at: datetime | None, value: Measured, of: str = "", scores: int | None = None) -> None:
        self.at.append(at)
        self.values.append(value)
        self.of.append(of)
        self.scores.append(scores)

    @property
    def known(self) -> bool:
        return any(one.value is not None for one in self.values)

    def rows(self) -> list[tuple[datetime, list[Cell]]]:
        told = zip(self.at, self.values, self.of, self.scores, strict=True)
        return [(at, [_minute(at), self.name, of, value, scores]) for at, value, of, scores in told if at is not None]


def drift_over_time(weeks: Sequence[Counted], found: Drift) -> Chart:
    """What people, gold answers, teachers and scorecards say above, what reward model and policy reward paid below, by the time.

    Two panels with one axis of time, and not two scales in one panel: where such scales meet and cross is nobody's finding.
    """
    said = [line for line in [*_weekly(weeks), _scorecards(found)] if line.known]
    paid = [line for line in (_paid(POLICY, found.models), _paid(REWARD_MODEL, found.models)) if line.known]
    data = [*(_drawn(line) for line in said), *(_drawn(line, "y2") for line in paid)]
    every = sorted((row for line in (*said, *paid) for row in line.rows()), key=lambda row: row[0])
    shown = sorted((row for line in (*said, *map(_ends, paid)) for row in line.rows()), key=lambda row: row[0])
    columns = ["time (UTC)", "what", "of", "mean", "scores"]
    return Chart(
        "drift", "Scores and rewards over time", {"data": data, "layout": _panels([at for at, _ in every], said, paid)}, columns,
        [row for _, row in shown], every=None if len(every) == len(shown) else lambda: [row for _, row in every],
    )  # fmt: skip


def _panels(times: Sequence[datetime], said: Sequence[_Line], paid: Sequence[_Line]) -> Figure:
    split = 0.42 if said and paid else 0.0
    layout: Figure = {
        "height": 520 if said and paid else 360,
        "showlegend": True,
        "xaxis": {"type": "date"},
    }
    if times:
        layout["xaxis"]["range"] = [_minute(min(times) - _margin(times)), _minute(max(times) + _margin(times))]
    if said:
        layout["yaxis"] = {**SCALE, "domain": [split + 0.05, 1.0] if paid else [0.0, 1.0], "automargin": True}
    if paid:
        layout["yaxis2"] = {
            "domain": [0.0, split - 0.03] if said else [0.0, 1.0],
            "title": {"text": "reward"}, "automargin": True, "zeroline": True,
        }  # fmt: skip
        layout["xaxis"]["anchor"] = "y2"
    return layout


def _margin(times: Sequence[datetime]) -> timedelta:
    """Never so little that Plotly shows fractions of a second around a single point."""
    return max(MARGIN, (max(times) - min(times)) / 40)


def _weekly(rows: Sequence[Counted]) -> list[_Line]:
    lines = []
    for kind, title in KINDS.items():
        line = _Line({"person": "people"}.get(kind, title.lower()), KIND_MARKS[kind])
        for week, spread in by_week([one for one in rows if one.by == kind]):
            line.add(middle_of(week), mean_of(spread), f"the week from {week}", spread.scores)
        lines.append(line)
    return lines


def _scorecards(found: Drift) -> _Line:
    title, *mark = SAID[BENCHMARK]
    line = _Line(title, (mark[0], mark[1]))
    for name, (at, score) in found.made.items():
        line.add(at.replace(tzinfo=None), score, name)
    return line


def _paid(about: tuple[str, str, str], models: Sequence[Rewarded]) -> _Line:
    """Run after run, with a gap between two: what different rewards pay is nothing that goes on."""
    line = _Line(about[0], about[1:])
    for one in models:
        course: Sequence[Payment] = one.paid.policy_course if about is POLICY else one.paid.reward_model_course
        for payment in course:
            line.add(payment.at.replace(tzinfo=None), Measured(payment.mean), one.run.artifact.name)
        if course:
            line.add(None, Measured(None))
    return line


def _ends(line: _Line) -> _Line:
    """The first and the last point of each run alone."""
    kept = _Line(line.name, line.mark)
    told = list(zip(line.at, line.values, line.of, strict=True))
    for place, (at, value, of) in enumerate(told):
        if at is not None and (place == 0 or told[place - 1][0] is None or told[place + 1][0] is None):
            kept.add(at, value, of)
    return kept


def _drawn(line: _Line, axis: str = "y") -> Figure:
    colour, symbol = line.mark
    trace: Figure = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": [None if at is None else _minute(at) for at in line.at],
        "y": [one.value for one in line.values],
        "customdata": line.of,
        "yaxis": axis,
        "connectgaps": False,
        "line": {"color": colour, "width": 1.4, "dash": "dash" if line.name == REWARD_MODEL[0] else "solid"},
        "marker": {"color": colour, "symbol": symbol, "size": 8 if axis == "y" else 4},
        "hovertemplate": "%{customdata}: %{y:.3f}<extra>" + line.name + "</extra>",
    }
    if any(one.low is not None for one in line.values):
        trace["error_y"] = error_bars(line.values, colour)
    if line.name == SAID[BENCHMARK][0]:
        trace |= {"mode": "markers", "marker": {**trace["marker"], "size": 10}}
    return trace


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def scores_over_models(models: Sequence[Rewarded]) -> Chart:
    """What people, gold answers and teachers say of each model that was trained on a reward, oldest first."""
    names = [one.run.artifact.name for one in models]
    data = [
        _over_models(title, names, [one.now[who] for one in models], colour, symbol)
        for who, (title, colour, symbol) in SAID.items()
        if any(one.now[who].value is not None for one in models)
    ]
    layout = {"xaxis": {"type": "category", "showgrid": False, "automargin": True}, "yaxis": SCALE, "showlegend": True}
    table: list[list[Cell]] = [[name, *(one.now[who] for who in SAID)] for name, one in zip(names, models, strict=True)]
    columns = ["model", *(title for title, _, _ in SAID.values())]
    return Chart("scores-models", "What is said of each model’s answers", {"data": data, "layout": layout}, columns, table)


def rewards_over_models(models: Sequence[Rewarded]) -> Chart:
    """The reward of each run in the first and the last fifth of its steps; the reward model's part of it besides."""
    names = [one.run.artifact.name for one in models]
    lines = (
        ("policy reward, first fifth", [one.paid.policy.first for one in models], POLICY[1], "circle-open"),
        ("policy reward, last fifth", [one.paid.policy.last for one in models], POLICY[1], "circle"),
        ("reward model, first fifth", [one.paid.reward_model.first for one in models], REWARD_MODEL[1], "square-open"),
        ("reward model, last fifth", [one.paid.reward_model.last for one in models], REWARD_MODEL[1], "square"),
    )
    data = [
        _over_models(title, names, [Measured(value) for value in values], colour, symbol)
        for title, values, colour, symbol in lines
        if any(value is not None for value in values)
    ]
    layout = {
        "xaxis": {"type": "category", "showgrid": False, "automargin": True},
        "yaxis": {"title": {"text": "reward"}, "automargin": True},
        "showlegend": True,
    }
    table: list[list[Cell]] = [[name, *(values[place] for _, values, _, _ in lines)] for place, name in enumerate(names)]
    return Chart(
        "rewards-models", "What each was paid while it was trained", {"data": data, "layout": layout},
        ["model", *(title for title, _, _, _ in lines)], table,
    )  # fmt: skip


def _over_models(name: str, x: Sequence[str], values: Sequence[Measured], colour: str, symbol: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": [one.value for one in values],
        "line": {"color": colour, "width": 1.4},
        "marker": {"color": colour, "symbol": symbol, "size": 8},
        "error_y": error_bars(values, colour),
        "hovertemplate": "%{x}: %{y:.3f}<extra>" + name + "</extra>",
    }
