"""Charts of what a scorecard holds besides its metrics: surest first, known and unknown, slices, what became of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from evaluation.answers import HELD_OUT
from evaluation.metrics import METRICS
from evaluation.metrics.paired import Became
from evaluation.scorecards.charts import reliability_diagrams, scorecard_charts, slice_dots
from evaluation.scorecards.document import KNOWLEDGE, Change, ConfidenceReport
from evaluation.scorecards.scorecard import MetricValue, Scorecard, SliceReport
from jobs.figures import Cell, Chart, Figure

ELICITED = {
    "probability": "probability of the answer",
    "stated": "stated by the model",
    "agreement": "agreement of samples",
}
LABELS = {"known": "known", "unknown": "unknown", "unlabelled": "no label"}
OUTCOME_TITLES = {
    "correct": ("answered, right", "token:honesty-p2"),
    "wrong": ("answered, wrong", "token:honesty-m2"),
    "abstained": ("abstained", "token:honesty-0"),
    "unparsable": ("cannot be parsed", "token:surface-2"),
}
BECAME_TITLES: dict[str, str] = {
    Became.RIGHT: "became right",
    Became.HONEST: "became honest",
    Became.WRONG: "became wrong",
    Became.SILENT: "fell silent",
    Became.UNPARSABLE: "cannot be parsed any more",
    Became.SAME: "unchanged",
}
_LABEL_COLOURS = {"known": "token:series-1", "unknown": "token:series-3", "unlabelled": "token:series-5"}
# A curve of thousands of points is drawn as well by a few hundred; the table behind it holds fewer still.
CURVE_POINTS, CURVE_ROWS = 300, 50
SLICES_AT_MOST = 60
PROBE_TITLES = {
    "are_you_sure": "Asked “are you sure?”",
    "false_authority": "Contradicted by an authority that is wrong",
    "leading_premise": "Asked with a false premise",
    "critique": "Told to look for mistakes and mend them",
    "belief": "Asked what it believes, apart from what it says",
}

T = TypeVar("T")


def card_charts(card: Scorecard, chosen: str, finest: Mapping[str, SliceReport]) -> dict[str, Chart]:
    """Every chart of a scorecard, by name, as far as it has what they show; `chosen` is the slice that is looked at."""
    drawn = scorecard_charts(card, chosen, finest)
    sources = {ELICITED.get(name, name): one.reliability for name, one in card.confidences.items() if one.reliability}
    if len(sources) > 1:
        drawn["reliability"] = reliability_diagrams(sources)
    if any(one.risk_coverage for one in card.confidences.values()):
        drawn["risk_coverage"] = risk_coverage_curves(card.confidences)
    if any(sum(row.values()) for row in card.knowledge_grid.values()):
        drawn["knowledge"] = knowledge_bars(card.knowledge_grid)
    if card.change is not None:
        drawn["became"] = became_bars(card.change)
    return drawn


def risk_coverage_curves(reports: Mapping[str, ConfidenceReport]) -> Chart:
    """The share wrong among the answers that the model is surest of, as more are taken in; a line a kind of confidence."""
    lines: list[Figure] = []
    rows: list[list[Cell]] = []
    every: list[list[Cell]] = []
    for place, (source, report) in enumerate(reports.items()):
        if not report.risk_coverage:
            continue
        title, colour = ELICITED.get(source, source), f"token:series-{place % 6 + 1}"
        drawn = _thinned(report.risk_coverage, CURVE_POINTS)
        lines.append(
            {
                "type": "scatter",
                "mode": "lines" if len(drawn) > 1 else "markers",
                "name": title,
                "x": [one.coverage for one in drawn],
                "y": [one.risk for one in drawn],
                "customdata": [one.n for one in drawn],
                "line": {"color": colour, "dash": ("solid", "dash", "dot")[place % 3], "shape": "hv"},
                "hovertemplate": "surest %{x:.0%}: %{y:.1%} wrong (%{customdata} answers)<extra>" + title + "</extra>",
            }
        )
        rows += [[title, one.coverage, one.risk, one.n] for one in _thinned(report.risk_coverage, CURVE_ROWS)]
        every += [[title, one.coverage, one.risk, one.n] for one in report.risk_coverage]
    layout = {
        "xaxis": {"title": {"text": "coverage: share of attempted answers"}, "tickformat": ".0%", "range": [0, 1.02]},
        "yaxis": {"title": {"text": "risk: share wrong"}, "tickformat": ".1~%", "rangemode": "tozero"},
        "showlegend": len(lines) > 1,
    }
    columns = ["confidence", "coverage", "risk", "answers"]
    return Chart(
        "risk-coverage", "Risk by coverage, surest answers first", {"data": lines, "layout": layout}, columns, rows,
        every=None if len(every) == len(rows) else lambda: every,
    )  # fmt: skip


def _thinned(points: Sequence[T], number: int) -> list[T]:
    if len(points) <= number:
        return list(points)
    step = (len(points) - 1) / (number - 1)
    return [points[round(place * step)] for place in range(number)]


def knowledge_bars(grid: Mapping[str, Mapping[str, int]]) -> Chart:
    """What it knows and what it does not know (rows) × answered or abstained: honest is right above and silent below."""
    counts = {label: grid[label] for label in KNOWLEDGE if sum(grid.get(label, {}).values())}
    titles = [LABELS[label] for label in counts]
    totals = {label: sum(row.values()) for label, row in counts.items()}
    data: list[Figure] = []
    for outcome, (title, colour) in OUTCOME_TITLES.items():
        numbers = [row.get(outcome, 0) for row in counts.values()]
        if any(numbers):
            marker: Figure = {"color": colour, "line": {"color": "token:surface", "width": 1}}
            if outcome == "unparsable":
                marker["pattern"] = {"shape": "/", "fgcolor": "token:hatch"}
            data.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": title,
                    "y": titles,
                    "x": [number / totals[label] for number, label in zip(numbers, counts, strict=True)],
                    "customdata": numbers,
                    "hovertemplate": "%{y}: %{customdata} " + title + " (%{x:.1%})<extra></extra>",
                    "marker": marker,
                }
            )
    layout = {
        "barmode": "stack",
        "bargap": 0.35,
        "margin": {"r": 28},
        "xaxis": {"tickformat": ".0%", "range": [0, 1], "automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True},
    }
    table: list[list[Cell]] = [
        [LABELS[label], *(row.get(outcome, 0) for outcome in OUTCOME_TITLES), totals[label]] for label, row in counts.items()
    ]
    columns = ["label", *(title for title, _ in OUTCOME_TITLES.values()), "answers"]
    return Chart("knowledge", "Known and unknown, answered and abstained", {"data": data, "layout": layout}, columns, table)


def became_bars(change: Change) -> Chart:
    """What became of the base model's answers, cut by what is known of the question; the unchanged stand in the table only."""
    shown = {kind: row for kind, row in change.counts.items() if kind != Became.SAME}
    labels = [label for label in KNOWLEDGE if any(row.get(label, 0) for row in change.counts.values())]
    data: list[Figure] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": LABELS[label],
            "y": [BECAME_TITLES.get(kind, kind) for kind in shown],
            "x": [row.get(label, 0) for row in shown.values()],
            "hovertemplate": "%{y}: %{x} answers<extra>" + LABELS[label] + "</extra>",
            "marker": {"color": _LABEL_COLOURS[label], "line": {"color": "token:surface", "width": 1}},
        }
        for label in labels
    ]
    layout = {
        "barmode": "stack",
        "bargap": 0.35,
        "xaxis": {"title": {"text": "answers"}, "automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True},
    }
    table: list[list[Cell]] = [
        [BECAME_TITLES.get(kind, kind), *(row.get(label, 0) for label in labels), sum(row.values())]
        for kind, row in change.counts.items()
    ]
    columns = ["answers", *(LABELS[label] for label in labels), "all"]
    return Chart("became", f"What became of the answers of {change.against}", {"data": data, "layout": layout}, columns, table)


def slice_groups(card: Scorecard) -> dict[str, dict[str, SliceReport]]:
    """Slices by the one thing that they differ in (topic, source, template …), of held-out people where some are held out."""
    held_out = {"fold": HELD_OUT} if HELD_OUT in card.slices else {}
    groups: dict[str, dict[str, SliceReport]] = {}
    for report in card.slices.values():
        labels = dict(report.labels)
        if not held_out.items() <= labels.items():
            continue
        rest = {name: value for name, value in labels.items() if name not in held_out}
        if len(rest) == 1:
            ((name, value),) = rest.items()
            groups.setdefault(name, {})[value] = report
    return {name: values for name, values in groups.items() if len(values) > 1}


def slice_chart(card: Scorecard, metric: str, by: str) -> Chart | None:
    """One metric of each slice beside the base model's; `by` one dimension, or all of them. None where nothing is sliced."""
    groups = slice_groups(card)
    chosen = {by: groups[by]} if by in groups else groups
    base = card.baselines.get("base")
    rows: dict[str, dict[str, MetricValue]] = {}
    for name, values in chosen.items():
        for value, report in values.items():
            row = {card.artifact.name: report.metrics.get(metric) or _nothing()}
            if base is not None and base.slices:
                row[base.model or base.title] = _same_slice(base.slices, report, metric)
            rows[value if by in groups else f"{name}: {value}"] = row
    if not rows:
        return None
    # The chart of the compare page has the same name, and another table.
    chart = replace(slice_dots(METRICS[metric], dict(list(rows.items())[:SLICES_AT_MOST])), id="by-slice")
    if len(rows) <= SLICES_AT_MOST:
        return chart
    title = f"{chart.title}: the first {SLICES_AT_MOST} of {len(rows)}"
    return replace(chart, title=title, every=lambda: slice_dots(METRICS[metric], rows).table)


def _same_slice(slices: Mapping[str, SliceReport], like: SliceReport, metric: str) -> MetricValue:
    found = next((one for one in slices.values() if dict(one.labels) == dict(like.labels)), None)
    return (found.metrics.get(metric) if found else None) or _nothing()


def _nothing() -> MetricValue:
    return MetricValue(value=None, n=0)
