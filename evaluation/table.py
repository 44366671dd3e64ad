"""A scorecard as text for the terminal."""

from __future__ import annotations

from evaluation.metrics import METRICS
from evaluation.scorecard import MetricValue, Scorecard


def scorecard_text(card: Scorecard, *, slice_name: str | None = None) -> str:
    """The conclusion, then every metric of a headline slice beside the baselines; by default of the main one."""
    chosen = slice_name or card.headline[0]
    report = card.slices[chosen]
    titles = [card.artifact.name, *(arm.title for arm in card.baselines.values())]
    lines = [
        f"{card.artifact.name} on {card.benchmark.name} {card.benchmark.version}, slice {chosen}, n = {report.n}",
        *(f"{name}: {conclusion.text}" for name, conclusion in card.conclusions.items()),
        "",
        _line("metric", [*titles, "n"]),
    ]
    for name, value in report.metrics.items():
        beside = [arm.slices[chosen].metrics.get(name) if chosen in arm.slices else None for arm in card.baselines.values()]
        title = METRICS[name].title if name in METRICS else name
        lines.append(_line(title, [_text(one) for one in (value, *beside)] + [str(value.n)]))
    lines += [f"gap {name} of the honesty score: {_text(value)}" for name, value in card.gaps.items()]
    return "\n".join(lines)


def _line(title: str, cells: list[str]) -> str:
    return f"{title:<36}" + "".join(f"{cell[:40]:>42}" for cell in cells[:-1]) + f"{cells[-1]:>7}"


def _text(metric: MetricValue | None) -> str:
    if metric is None:
        return ""
    if metric.value is None:
        return metric.reason or "-"
    interval = f" [{metric.low:.3f}, {metric.high:.3f}]" if metric.low is not None and metric.high is not None else ""
    return f"{metric.value:.3f}{interval}"
