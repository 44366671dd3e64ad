"""Charts of a job's streams as Plotly figures (plain dicts), and the numbers behind them. Knows no kind of job."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.streams import POINTS_AT_MOST, thin

Figure = dict[str, Any]
Row = Mapping[str, Any]

# What a person looks at first, in this order; what else there is stands in the table.
FIRST = (
    "loss",
    "reward",
    "verdicts",
    "rewards/margins",
    "rewards/accuracies",
    "kl",
    "mean_token_accuracy",
    "entropy",
    "grad_norm",
)
CHARTS_AT_MOST = 6
TABLE_ROWS_AT_MOST = 40
NOT_MEASURES = {"step", "time", "epoch"}
# Set by the settings, not found out by the run: the table is enough.
NOT_CHARTED = {"learning_rate"}
HELD_OUT = "eval_"
# Shares of one whole, shown as lines of one chart.
FAMILIES = ("verdicts/",)


@dataclass(frozen=True)
class Chart:
    """A figure, and the table behind it."""

    id: str
    title: str
    figure: Figure
    columns: list[str]
    table: list[list[float | None]]


@dataclass(frozen=True)
class Measure:
    """One column of a stream: where it began, where it is, and between what it went."""

    name: str
    first: float
    latest: float
    low: float
    high: float
    count: int


def measures(rows: Iterable[Row]) -> list[Measure]:
    """Every numeric column, the important ones first."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in NOT_MEASURES and isinstance(value, int | float) and not isinstance(value, bool):
                columns.setdefault(name, []).append(value)
    ordered = sorted(columns.items(), key=lambda column: _rank(column[0]))
    return [Measure(name, v[0], v[-1], min(v), max(v), len(v)) for name, v in ordered]


def metric_charts(rows: Sequence[Row]) -> list[Chart]:
    """A chart for each of the first measures; training and held-out values of the same one share it."""
    groups: dict[str, list[str]] = {}
    for measure in measures(rows):
        is_flat = measure.low == measure.high and measure.count > 1
        if measure.name in NOT_CHARTED or (is_flat and measure.name.removeprefix(HELD_OUT) not in FIRST):
            continue  # the table says as much as a flat line
        groups.setdefault(_base(measure.name), []).append(measure.name)
    return [_chart(f"metric-{index}", base, names, rows) for index, (base, names) in enumerate(_shown(groups))]


def _shown(groups: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    return list(groups.items())[:CHARTS_AT_MOST]


def _chart(name: str, base: str, columns: list[str], rows: Sequence[Row]) -> Chart:
    data = [_line(column, "step", rows, _trace_name(column)) for column in sorted(columns)]
    layout = {"xaxis": {"title": {"text": "step"}}, "showlegend": len(data) > 1}
    figure = {"data": sorted(data, key=lambda trace: trace["name"] != "training"), "layout": layout}
    return Chart(name, base, figure, ["step", *columns], _table(["step", *columns], rows))


def _trace_name(column: str) -> str:
    family = next((family for family in FAMILIES if column.startswith(family)), None)
    if family is not None:
        return column.removeprefix(family).replace("_", " ")
    return "held out" if column.startswith(HELD_OUT) else "training"


def telemetry_charts(rows: Sequence[Row]) -> list[Chart]:
    """Processor, memory, and where there are any GPUs and energy. `rows` are those of `streams.telemetry_rows`."""
    columns = {name for row in rows for name, value in row.items() if value is not None}
    found = [_usage("cpu", "Processor, % of one core", ["cpu_percent"], rows)]
    found.append(_usage("memory", "Memory, MiB", ["memory_mib"], rows))
    for ending, title in (("percent", "GPU, %"), ("memory_mib", "GPU memory, MiB"), ("watts", "GPU power, W")):
        gpus = sorted(name for name in columns if name.startswith("gpu") and name.endswith(f"_{ending}"))
        if gpus:
            found.append(_usage(f"gpu-{ending}", title, gpus, rows))
    if "energy_joules" in columns:
        found.append(_usage("energy", "Energy, J", ["energy_joules"], rows))
    return found


def _usage(name: str, title: str, columns: list[str], rows: Sequence[Row]) -> Chart:
    data = [_line(column, "minutes", rows, column.split("_")[0]) for column in columns]
    layout = {"xaxis": {"title": {"text": "minutes"}}, "yaxis": {"rangemode": "tozero"}, "showlegend": len(data) > 1}
    return Chart(
        f"telemetry-{name}", title, {"data": data, "layout": layout}, ["minutes", *columns], _table(["minutes", *columns], rows)
    )


def _table(columns: list[str], rows: Sequence[Row]) -> list[list[float | None]]:
    shown = [row for row in rows if any(row.get(column) is not None for column in columns[1:])]
    return [[row.get(column) for column in columns] for row in thin(shown, TABLE_ROWS_AT_MOST)]


def _line(column: str, x: str, rows: Sequence[Row], name: str) -> Figure:
    points = [(row[x], row[column]) for row in rows if row.get(column) is not None and row.get(x) is not None]
    kept = thin(points, POINTS_AT_MOST)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(kept) < 40 else "lines",
        "marker": {"size": 4},
        "name": name,
        "x": [point[0] for point in kept],
        "y": [point[1] for point in kept],
        "hovertemplate": f"{x} %{{x}}: %{{y:.4~g}}<extra></extra>",
        "meta": {"x": x, "y": column},
    }


def _base(name: str) -> str:
    """The chart that a measure belongs to."""
    return next((family.rstrip("/") for family in FAMILIES if name.startswith(family)), name.removeprefix(HELD_OUT))


def _rank(name: str) -> tuple[int, str, bool]:
    base = _base(name)
    return (FIRST.index(base) if base in FIRST else len(FIRST), base, name != base)
