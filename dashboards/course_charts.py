"""Charts of several runs laid over one another: a colour a run; held-out values of a measure are dashed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from jobs.charts import CHARTS_AT_MOST, FAMILIES, HELD_OUT, NOT_CHARTED, NOT_MEASURES
from jobs.figures import Cell, Chart, Figure
from jobs.monitoring.columns import Columns, evenly, rounded, telling
from training.reward_parts import Part

Across: TypeAlias = Literal["step", "minutes"]
ACROSS: tuple[Across, ...] = ("step", "minutes")
POINTS_AT_MOST = 400
ROWS_A_LINE = 25
# What one looks for first; a name that ends in "/" stands for all that begin with it.
ORDER = (
    "loss",
    "reward",
    "rewards/",
    "honesty",
    "honesty/",
    "truthful_rate",
    "kl",
    "objective/kl",
    "learning_rate",
    "mean_token_accuracy",
    "entropy",
)
# Written once, when a run has ended: figures of the whole run, not of its course.
TOTALS = {"total_flos", "train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second"}
# Here the learning rate is charted: runs that lie over one another may differ in it.
KEPT_TO_TABLES = NOT_CHARTED - {"learning_rate"}
SPEEDS = (
    ("tokens_per_second", "Tokens a second"),
    ("cpu_percent", "Processor, % of one core"),
    ("memory_mib", "Memory, MiB"),
    ("watts", "Power, W"),
)


@dataclass(frozen=True)
class Course:
    """A run with all it has logged, and with the parts of its reward where it has one."""

    name: str
    is_live: bool
    metrics: Columns
    telemetry: Columns
    parts: tuple[Part, ...]


def colour(place: int) -> str:
    """The colour of the run at that place."""
    return f"token:series-{place % 6 + 1}"


def measures_of(courses: Sequence[Course]) -> list[str]:
    """What any of the runs logged, without the held-out twins, most telling first."""
    names = {name.removeprefix(HELD_OUT) for one in courses for name in one.metrics.names}
    fit = [name for name in names if name not in NOT_MEASURES | TOTALS | KEPT_TO_TABLES and not name.startswith(FAMILIES)]
    return sorted(fit, key=lambda name: (_place(name), name))


def _place(name: str) -> int:
    """Loss, rewards, what they are made of, KL, the learning rate; then whatever else was logged."""
    return next(
        (place for place, known in enumerate(ORDER) if name == known or (known[-1] == "/" and name.startswith(known))), len(ORDER)
    )


def curve_charts(courses: Sequence[Course], *, across: Across = "step", wanted: str = "") -> list[Chart]:
    """The measure that is wanted, or the first few that several of the runs have, else that any has."""
    names = measures_of(courses)
    if wanted in names:
        return [_overlaid(f"curve-{wanted}", wanted, [wanted, f"{HELD_OUT}{wanted}"], courses, across)]
    common = sorted(names, key=lambda name: sum(_has(one.metrics, name) for one in courses) < min(2, len(courses)))
    charts = [_overlaid(f"curve-{name}", name, [name, f"{HELD_OUT}{name}"], courses, across) for name in common[:CHARTS_AT_MOST]]
    return [chart for chart in charts if chart.figure["data"]]


def _has(columns: Columns, name: str) -> bool:
    return name in columns.names or f"{HELD_OUT}{name}" in columns.names


def usage_charts(courses: Sequence[Course]) -> list[Chart]:
    """What the runs took of their machines, over the minutes since each began; what none measured has no chart."""
    charts = [_usage(name, title, courses) for name, title in SPEEDS]
    return [chart for chart in charts if chart.figure["data"]]


def _usage(name: str, title: str, courses: Sequence[Course]) -> Chart:
    measured = [(place, one) for place, one in enumerate(courses) if name in one.telemetry.names]
    lines = [_line(one.telemetry, "minutes", name, one.name, place) for place, one in measured]
    layout = {"xaxis": {"title": {"text": "minutes"}}, "yaxis": {"rangemode": "tozero"}, "showlegend": len(courses) > 1}

    def rows(most: int | None) -> list[list[Cell]]:
        return [row for one in courses for row in _rows(one.telemetry, "minutes", name, [one.name], most)]

    shown, is_cut = rows(ROWS_A_LINE), any(_is_cut(one.telemetry, "minutes", name) for one in courses)
    return Chart(
        f"usage-{name}", title, {"data": lines, "layout": layout}, ["run", "minutes", title], shown,
        every=(lambda: rows(None)) if is_cut else None,
    )  # fmt: skip


def _overlaid(identity: str, title: str, columns: Sequence[str], courses: Sequence[Course], across: Across) -> Chart:
    lines, logged = [], []
    for place, one in enumerate(courses):
        metrics = in_minutes(one.metrics) if across == "minutes" else one.metrics
        for column in columns:
            if len(metrics.points(across, column)[1]):
                part = "held out" if column.startswith(HELD_OUT) else "training"
                name = f"{one.name}, held out" if column.startswith(HELD_OUT) else one.name
                lines.append(_line(metrics, across, column, name, place, dash="dash" if name != one.name else "solid"))
                logged.append((metrics, column, one.name, part))

    def rows(most: int | None) -> list[list[Cell]]:
        return [row for metrics, column, *about in logged for row in _rows(metrics, across, column, about, most)]

    shown, is_cut = rows(ROWS_A_LINE), any(_is_cut(metrics, across, column) for metrics, column, *_ in logged)
    layout = {"xaxis": {"title": {"text": across}}, "showlegend": len(lines) > 1}
    return Chart(
        identity, title, {"data": lines, "layout": layout}, ["run", "part", across, title], shown,
        every=(lambda: rows(None)) if is_cut else None,
    )  # fmt: skip


def in_minutes(columns: Columns) -> Columns:
    """With a column `minutes` since the first row; without one where the rows carry no time."""
    if "time" not in columns.names:
        return columns
    minutes = (columns.values["time"] - columns.known("time")[0]) / 60
    return Columns({**columns.values, "minutes": minutes}, columns.count)


def _line(columns: Columns, x: str, y: str, name: str, place: int, *, dash: str = "solid") -> Figure:
    across, up = columns.points(x, y)
    kept = telling(up, POINTS_AT_MOST)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(kept) < 40 else "lines",
        "name": name,
        "x": [rounded(value, 9) for value in across[kept].tolist()],
        "y": [rounded(value) for value in up[kept].tolist()],
        "line": {"color": colour(place), "dash": dash, "width": 1.6},
        "marker": {"color": colour(place), "size": 4},
        "hovertemplate": f"{x} %{{x:.4~g}}: %{{y:.4~g}}<extra>{name}</extra>",
    }


def _rows(columns: Columns, x: str, y: str, about: Sequence[Cell], most: int | None) -> list[list[Cell]]:
    """At most so many of the points, evenly spaced; all of them where there is no limit."""
    across, up = columns.points(x, y)
    kept = evenly(len(up), most or len(up))
    return [[*about, rounded(at, 9), rounded(value)] for at, value in zip(across[kept].tolist(), up[kept].tolist(), strict=True)]


def _is_cut(columns: Columns, x: str, y: str) -> bool:
    return len(columns.points(x, y)[1]) > ROWS_A_LINE


def parts_chart(courses: Sequence[Course]) -> Chart | None:
    """What each part of the reward paid in the last fifth of each run's steps, weight and all; None where no run has parts."""
    paying = [(place, one) for place, one in enumerate(courses) if one.parts]
    names = list(dict.fromkeys(part.name for _, one in paying for part in one.parts))
    if not names:
        return None
    paid: dict[str, dict[str, float | None]] = {
        one.name: {part.name: None if part.last is None else part.weight * part.last for part in one.parts} for _, one in paying
    }
    bars: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": one.name,
            "x": names,
            "y": [paid[one.name].get(name) for name in names],
            "marker": {"color": colour(place)},
            "hovertemplate": f"%{{x}}: %{{y:.4~g}}<extra>{one.name}</extra>",
        }
        for place, one in paying
    ]
    layout = {
        "barmode": "group",
        "xaxis": {"type": "category"},
        "yaxis": {"title": {"text": "weight × value"}},
        "showlegend": len(bars) > 1,
    }
    table = [[name, *(paid[one.name].get(name) for _, one in paying)] for name in names]
    title = "What each part of the reward paid in the last fifth of the steps"
    return Chart("reward-parts", title, {"data": bars, "layout": layout}, ["part", *(one.name for _, one in paying)], table)
