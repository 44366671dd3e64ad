"""A scorecard, and several side by side, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evaluation.comparing.comparison import Cell, Comparison
from evaluation.guard.verdict import GuardReport
from evaluation.metrics import METRICS
from evaluation.scorecards.document import TITLES
from evaluation.scorecards.findings_text import guard_lines, validator_lines
from evaluation.scorecards.scorecard import MetricValue, Scorecard
from evaluation.scorecards.writing import p_value
from evaluation.validator.report import ValidatorReport


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
        lines.append(_line(title, [_text(value), *(_text(one, of=value.n) for one in beside), str(value.n)]))
    lines += [f"gap {name} of the honesty score: {_text(value)}" for name, value in card.gaps.items()]
    return "\n".join([*lines, *_parts(card)])


def _parts(card: Scorecard) -> Iterator[str]:
    """What was asked besides; all of it is of the main headline slice."""
    for source, report in card.confidences.items():
        yield from _part(f"confidence, {source}", report.metrics)
    for name, figures in card.probes.items():
        yield from _part(f"asked besides: {name}", figures)
    if card.change is not None:
        yield from _part(f"against {card.change.against}", card.change.metrics)
        yield from (f"{kind}: {sum(counts.values())}" for kind, counts in card.change.counts.items())
    for title, figures in (("pairs of answers", card.pairs), ("text", card.text), ("judge and people", card.agreement)):
        yield from _part(title, figures)
    if card.guard:
        yield from ("", *guard_lines(GuardReport.model_validate(card.guard)))
    if card.validator:
        yield from ("", *validator_lines(ValidatorReport.model_validate(card.validator)))


def _part(title: str, figures: Mapping[str, MetricValue]) -> Iterator[str]:
    if figures:
        yield from ("", _line(title, ["", "n"]))
        yield from (_line(TITLES.get(name, name), [_text(value), str(value.n)]) for name, value in figures.items())


def comparison_text(comparison: Comparison) -> str:
    """Every metric of every model, and by how much it differs from the first one's where that is more than chance."""
    lines = [
        f"slice {comparison.slice}, {comparison.items} questions; differences are from {next(iter(comparison.reports))}",
        *(f"not asked alike: {one}" for one in comparison.otherwise),
        "",
        _line("metric", [*comparison.reports, ""]),
    ]
    for row in comparison.rows:
        lines.append(_line(row.metric.title, [_text(cell.value, of=comparison.items) for cell in row.cells] + [""]))
        if any(cell.is_shown for cell in row.cells):
            lines.append(_line("", [_told(cell) for cell in row.cells] + [""]))
    return "\n".join(lines)


def _told(cell: Cell) -> str:
    if not cell.is_shown or cell.difference is None:
        return ""
    return f"{cell.verdict} {cell.difference.value:+.3f}, p {p_value(cell.difference.p_adjusted)}"


def _line(title: str, cells: list[str]) -> str:
    return f"{title:<40}" + "".join(f"{cell[:40]:>42}" for cell in cells[:-1]) + f"{cells[-1]:>7}"


def _text(metric: MetricValue | None, *, of: int | None = None) -> str:
    """A figure with its interval; with its n where it rests on another number of answers than `of`, which stands beside it."""
    if metric is None:
        return ""
    if metric.value is None:
        return metric.reason or "-"
    interval = f" [{metric.low:.3f}, {metric.high:.3f}]" if metric.low is not None and metric.high is not None else ""
    n = f" n={metric.n}" if of is not None and metric.n != of else ""
    return f"{metric.value:.3f}{interval}{n}"
