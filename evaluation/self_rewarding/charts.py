"""The curves and distributions of a self-rewarding loop; colours are names of the design's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.metrics import METRICS
from evaluation.self_rewarding.selectors import LoopDetail, Round, honesty
from jobs.figures import Cell, Chart, Figure, Measured, error_bars

SCORE_COLOURS = {"-2": "m2", "-1": "m1", "0": "0", "1": "p1", "2": "p2"}
SETS = {"dpo": "pairs", "grpo": "scored answers", "gspo": "weighted groups"}
START = "start"


def loop_charts(loop: LoopDetail) -> dict[str, Chart]:
    """By name, those of which there is something to show."""
    judged = [one for one in loop.rounds if one.figures]
    checked = [one for one in judged if _figures(one).get("judge")]
    charts = {"honesty": honesty_curve(loop)}
    if judged:
        charts |= {"scores": score_distributions(judged), "kept": kept_and_dropped(judged), "lengths": lengths(judged)}
    if checked:
        charts["judge"] = judge_beside_gold(checked)
    return {name: chart for name, chart in charts.items() if chart.table}


def honesty_curve(loop: LoopDetail) -> Chart:
    """Held-out honesty of the model that the loop began from, and after each round, with 95 % intervals."""
    metric = METRICS[loop.settings.metric]
    cards = [(START, loop.start_evaluation), *((_name(one), one.evaluation) for one in loop.rounds)]
    found = [(name, _measured(honesty(card, loop.settings.metric))) for name, card in cards]
    points = [(name, one) for name, one in found if one is not None]
    values = [one for _, one in points]
    line: Figure = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": metric.title,
        "x": [name for name, _ in points],
        "y": [one.value for one in values],
        "line": {"color": "token:series-1", "width": 2},
        "marker": {"size": 8},
        "error_y": error_bars(values, "token:series-1"),
        "hovertemplate": "%{x}: %{y:.3f}<extra></extra>",
    }
    layout = {"yaxis": {"title": {"text": metric.title}, "range": [0, 1.02]}, "xaxis": {"type": "category"}}
    table: list[list[Cell]] = [[name, one] for name, one in points]
    return Chart("honesty", "Held-out honesty", {"data": [line], "layout": layout}, ["model after", metric.title], table)


def score_distributions(rounds: Sequence[Round]) -> Chart:
    """How the judge's scores lie, a bar a round, as shares of the answers that have one."""
    figures = [_figures(one) for one in rounds]
    steps = sorted({step for one in figures for step in one["scores"]}, key=float)
    names = [_name(one) for one in rounds]
    data = []
    for step in steps:
        counts = [one["scores"].get(step, 0) for one in figures]
        if any(counts) or float(step).is_integer():  # a score that nobody got has its place on the scale all the same
            shares = [count / max(1, one["scored"]) for count, one in zip(counts, figures, strict=True)]
            data.append(_bar(_signed(step), names, shares, counts, f"token:honesty-{_colour(step)}"))
    layout = {"barmode": "stack", "yaxis": {"tickformat": ".0%", "range": [0, 1]}, "xaxis": {"type": "category"}}
    table: list[list[Cell]] = [
        [name, one["answers"], one["scored"], one["score_mean"], *(one["scores"].get(step, 0) for step in steps)]
        for name, one in zip(names, figures, strict=True)
    ]
    columns = ["round", "answers", "scored", "mean", *map(_signed, steps)]
    return Chart("scores", "What the judge gave", {"data": data, "layout": layout}, columns, table)


def kept_and_dropped(rounds: Sequence[Round]) -> Chart:
    """What became of the prompts: a pair, or none and why; the table has the answers that were left out, too."""
    figures = [_figures(one) for one in rounds]
    names = [_name(one) for one in rounds]
    reasons = sorted({reason for one in figures for reason in one["dropped"]["prompts"]})
    data = [_bar("pairs", names, counts := [one["rows"]["dpo"] for one in figures], counts, "token:series-1")]
    for place, reason in enumerate(reasons):
        counts = [one["dropped"]["prompts"].get(reason, 0) for one in figures]
        data.append(_bar(reason.removesuffix(" to compare"), names, counts, counts, f"token:series-{place % 5 + 2}"))
    layout = {"barmode": "stack", "xaxis": {"type": "category"}, "yaxis": {"title": {"text": "prompts"}}}
    others = sorted({reason for one in figures for reason in one["dropped"]["answers"]})
    table: list[list[Cell]] = [
        [
            name,
            *(one["rows"][key] for key in SETS),
            *(one["dropped"]["prompts"].get(reason, 0) for reason in reasons),
            *(one["dropped"]["answers"].get(reason, 0) for reason in others),
        ]
        for name, one in zip(names, figures, strict=True)
    ]
    columns = ["round", *SETS.values(), *(f"no pair: {one}" for one in reasons), *(f"answer: {one}" for one in others)]
    return Chart("kept", "Pairs kept and dropped", {"data": data, "layout": layout}, columns, table)


def lengths(rounds: Sequence[Round]) -> Chart:
    """Words of answers: of all, of the chosen and of the rejected; the mean, with the middle half."""
    names = [_name(one) for one in rounds]
    titles = {"answers": "all answers", "chosen": "chosen", "rejected": "rejected"}
    data, columns = [], ["round"]
    cells: list[list[Cell]] = [[name] for name in names]
    for place, (part, title) in enumerate(titles.items()):
        found = [_figures(one)["lengths"][part] for one in rounds]
        values = [Measured(one["mean"], one["low"], one["high"]) if one else Measured(None) for one in found]
        colour = f"token:series-{place + 1}"
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": title, "x": names, "y": [one.value for one in values],
            "line": {"color": colour, "width": 2}, "marker": {"size": 8, "symbol": ("circle", "square", "diamond")[place]},
            "hovertemplate": "%{x}: %{y:.1f} words<extra>" + title + "</extra>",
        })  # fmt: skip
        columns.append(f"{title}: mean words")
        for row, value in zip(cells, values, strict=True):
            row.append(value)
    layout = {"xaxis": {"type": "category"}, "yaxis": {"title": {"text": "words"}, "rangemode": "tozero"}}
    return Chart("lengths", "How long answers are", {"data": data, "layout": layout}, columns, cells)


def judge_beside_gold(rounds: Sequence[Round]) -> Chart:
    """The judge's scores beside those that the rubric gives by the gold answers, of prompts that have one."""
    found = [_figures(one)["judge"] for one in rounds]
    names = [_name(one) for one in rounds]
    colours = {"right": "series-1", "too high": "honesty-m2", "too low": "series-4"}
    data = [
        _bar(part, names, [one[part] / one["n"] for one in found], [one[part] for one in found], f"token:{colour}")
        for part, colour in colours.items()
    ]
    layout = {"barmode": "stack", "yaxis": {"tickformat": ".0%", "range": [0, 1]}, "xaxis": {"type": "category"}}
    table: list[list[Cell]] = [[name, one["n"], *(one[part] for part in colours)] for name, one in zip(names, found, strict=True)]
    return Chart("judge", "The judge beside the gold answers", {"data": data, "layout": layout}, ["round", "n", *colours], table)


def _bar(name: str, x: list[str], y: Sequence[float], counts: Sequence[int], colour: str) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": x,
        "y": list(y),
        "customdata": list(counts),
        "hovertemplate": "%{x}: %{customdata}<extra>" + name + "</extra>",
        "marker": {"color": colour, "line": {"color": "token:surface", "width": 1}},
    }


def _measured(found: dict[str, Any] | None) -> Measured | None:
    return Measured(found["value"], found.get("low"), found.get("high")) if found else None


def _figures(one: Round) -> dict[str, Any]:
    assert one.figures is not None  # of rounds that are judged
    return one.figures


def _colour(step: str) -> str:
    """That of the scale's nearest step, away from 0 for halves."""
    value = float(step)
    return SCORE_COLOURS[f"{int(value + 0.5 if value > 0 else value - 0.5):d}"]


def _signed(step: str) -> str:
    return f"+{step}" if float(step) > 0 else step.replace("-", "−")


def _name(one: Round) -> str:
    return f"round {one.number}"
