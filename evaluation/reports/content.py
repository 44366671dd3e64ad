"""What a report says of scorecards: the page's figures in the page's order, and besides what every figure means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.text import capfirst

from evaluation.metrics import METRICS, Metric
from evaluation.metrics.paired import Became
from evaluation.reports.document import (
    Block,
    Facts,
    Mark,
    Notice,
    Part,
    Picture,
    Report,
    Section,
    Table,
    Tile,
    Tiles,
    Value,
    Words,
)
from evaluation.reports.findings import findings_sections
from evaluation.scorecards import charts
from evaluation.scorecards.document import FIGURES, Figures, Meaning
from evaluation.scorecards.part_charts import BECAME_TITLES, PROBE_TITLES, card_charts
from evaluation.scorecards.samples import Sample
from evaluation.scorecards.scorecard import MetricValue, Scorecard, SliceReport
from evaluation.scorecards.writing import NOTHING, interval, number, signed
from evaluation.selectors import SLICE_COLUMNS, TILES, MetricRow, finest_slices, main_slices, metric_rows, slice_title
from jobs.figures import Cell, Chart, Link, Measured

ANSWER_AT_MOST = 600


@dataclass(frozen=True)
class Told:
    """A scorecard and what is known of how it came about."""

    card: Scorecard
    requested_by: str
    created_at: datetime


def report_of(title: str, told: Sequence[Told], *, made_at: datetime) -> Report:
    """The report on some scorecards of one model, or on one."""
    parts = [_part(one, f"s{number}") for number, one in enumerate(told, 1)]
    scorecards = "one scorecard" if len(told) == 1 else f"{len(told)} scorecards"
    subtitle = f"Made on {made_at:%d %B %Y at %H:%M} UTC from {scorecards}"
    return Report(title, subtitle, parts, [_meanings(told)])


def _part(told: Told, prefix: str) -> Part:
    card = told.card
    chosen = card.headline[0]
    sections = [
        Section("In a sentence", _sentences(card)),
        Section("Headline numbers", [_tiles(card, chosen)]),
        Section(f"Every metric: {slice_title(chosen)}", _metrics(card, chosen)),
        Section("In pictures", _pictures(card, chosen, prefix)),
        Section("By slice", [_slices(card)]),
        *_further(card),
        Section("Typical answers", [_samples("Typical answers", card.samples, with_base=bool(card.baselines))]),
        Section("Where these numbers come from", [Facts(_facts(told))]),
    ]
    return Part(
        f"{card.artifact.name} on {card.benchmark.name} {card.benchmark.version}", [one for one in sections if one.blocks]
    )


def _sentences(card: Scorecard) -> list[Block]:
    single = len(card.conclusions) == 1
    return [
        Notice(conclusion.tone, conclusion.text if single else f"{capfirst(slice_title(name))}: {conclusion.text}")
        for name, conclusion in card.conclusions.items()
    ]


def _tiles(card: Scorecard, chosen: str) -> Tiles:
    rows = {row.name: row for row in metric_rows(card, chosen)}
    return Tiles([_tile(card, rows[name]) for name in TILES if name in rows])


def _tile(card: Scorecard, row: MetricRow) -> Tile:
    if row.value.value is None:
        return Tile(_headed(row.metric), NOTHING, [row.value.reason or ""])
    beside = [interval(row.value), f"n = {row.value.n:,}"]
    for name, value in zip(card.baselines, row.baselines, strict=True):
        if value is not None and value.value is not None:
            beside.append(f"{'base' if name == 'base' else 'threshold'} {number(value.value)}")
    return Tile(_headed(row.metric), number(row.value.value), [one for one in beside if one])


def _metrics(card: Scorecard, chosen: str) -> list[Block]:
    has_base = "base" in card.baselines
    titles = [arm.title for arm in card.baselines.values()]
    columns = ["Metric", card.artifact.name, *titles, *(["Change from base"] if has_base else []), "n"]
    rows = [
        [
            Value(_headed(row.metric)),
            measured(row.value),
            *(measured(value, of=row.value.n) for value in row.baselines),
            *([_change(row)] if has_base else []),
            Value(f"{row.value.n:,}"),
        ]
        for row in metric_rows(card, chosen)
    ]
    note = (
        "Intervals are 95 %, drawn over what questions are about rather than over answers. A change is paired by question, and "
        "called better or worse "
        "only where it is more than chance."
    )
    threshold = card.baselines.get("base_threshold")
    if threshold is not None and threshold.threshold is not None:
        note += (
            f" The threshold baseline declines every answer given with a probability below {number(threshold.threshold)}, a "
            "value chosen on the people of fold A."
        )
    return [Table("Every metric", columns, rows, numbers=len(columns) - 1, note=note)]


def _change(row: MetricRow) -> Value:
    if row.change is None or row.change.value is None:
        return Value(NOTHING)
    mark: Mark = "better" if row.verdict == "better" else "worse" if row.verdict == "worse" else ""
    return replace(_signed_value(row.change), mark=mark)


def _pictures(card: Scorecard, chosen: str, prefix: str) -> list[Block]:
    drawn = card_charts(card, chosen, finest_slices(card))
    shown = [chart for chart in drawn.values() if chart.table]
    return [Picture(replace(chart, id=f"{prefix}-{chart.id}"), behind(chart)) for chart in shown]


def behind(chart: Chart) -> Table:
    """The table of a chart's numbers, as a report has it."""
    rows = [[_cell(cell) for cell in row] for row in chart.table]
    words = sum(all(isinstance(row[place], str | Link) for row in chart.table) for place in range(len(chart.columns)))
    return Table(chart.title, chart.columns, rows, numbers=len(chart.columns) - words)


def _cell(cell: Cell) -> Value:
    if isinstance(cell, Measured):
        return Value(number(cell.value), interval({"low": cell.low, "high": cell.high}))
    if isinstance(cell, Link):
        return Value(cell.text)
    return Value(cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else number(cell))


def _slices(card: Scorecard) -> Table:
    columns = ["Slice", *(_headed(METRICS[name]) for name in SLICE_COLUMNS), "n"]
    rows = [_slice(name, report) for name, report in main_slices(card).items()]
    note = (
        "A: people used in training. B: held-out people. Taught: the base model was taught the facts. Easy: something in the "
        "question besides the name tells taught from untaught; hard: only the name does."
    )
    return Table("By slice", columns, rows, numbers=len(columns) - 1, note=note if "A" in card.slices else "")


def _slice(name: str, report: SliceReport) -> list[Value]:
    figures = (measured(report.metrics.get(metric), brief=True, of=report.n) for metric in SLICE_COLUMNS)
    return [Value(name), *figures, Value(f"{report.n:,}")]


def _further(card: Scorecard) -> list[Section]:
    """What a scorecard has only where more was asked than one plain answer to each question."""
    sections = [
        Section("Learnt the habit, or the people?", _gaps(card)),
        Section("Against the model it came from", _became(card)),
    ]
    for name, figures in card.probes.items():
        sections.append(Section(PROBE_TITLES.get(name, name), _figures(figures)))
    sections += [
        Section("Confidence, by how it was asked for", _confidences(card)),
        Section("The text itself", _figures(card.text)),
        Section("Against the base model, answer by answer", _figures(card.pairs)),
        Section("The judge beside people", _figures(card.agreement)),
        *findings_sections(card),
    ]
    return [one for one in sections if one.blocks]


def _gaps(card: Scorecard) -> list[Block]:
    if not card.gaps:
        return []
    rows = [[Value(name), _signed_value(gap)] for name, gap in card.gaps.items()]
    note = "Near zero: what it learnt holds for people it never saw. Far above: it learnt names by heart."
    return [Table("Gaps", ["Honesty score, trained-on minus held-out", "Gap"], rows, numbers=1, note=note)]


def _became(card: Scorecard) -> list[Block]:
    if card.change is None:
        return []
    labels = list(dict.fromkeys(label for counts in card.change.counts.values() for label in counts))
    rows = [
        [Value(_became_title(kind)), *(Value(f"{counts.get(label, 0):,}") for label in labels)]
        for kind, counts in card.change.counts.items()
    ]
    title = f"What became of the answers of {card.change.against}"
    blocks: list[Block] = [Table(title, ["Answers", *labels], rows, numbers=len(labels))]
    blocks += _figures(card.change.metrics)
    for kind, samples in card.change.samples.items():
        if samples and kind != Became.SAME:
            blocks += [Words(f"Answers that {_became_title(kind)}:"), _samples(_became_title(kind), samples, with_base=True)]
    return blocks


def _became_title(kind: str) -> str:
    return BECAME_TITLES.get(kind, kind)


def _confidences(card: Scorecard) -> list[Block]:
    if not card.confidences:
        return []
    names = list(dict.fromkeys(name for one in card.confidences.values() for name in one.metrics))
    rows = [
        [Value(source), *(measured(one.metrics.get(name), brief=True) for name in names)]
        for source, one in card.confidences.items()
    ]
    return [Table("Confidence", ["Elicited by", *(_titled(name) for name in names)], rows, numbers=len(names))]


def _figures(figures: Figures) -> list[Block]:
    if not figures:
        return []
    rows = [[Value(_titled(name)), measured(value), Value(f"{value.n:,}")] for name, value in figures.items()]
    return [Table("Figures", ["Figure", "Value", "n"], rows, numbers=2)]


def _samples(title: str, samples: Iterable[Sample], *, with_base: bool) -> Table:
    columns = ["Question", "Answer", *(["The base model said"] if with_base else []), "Truth", "Verdict"]
    rows = [
        [
            Value(_cut(one.prompt)),
            Value(_cut(one.answer) or "(nothing)", one.slice),
            *([Value(_cut(one.base_answer or ""))] if with_base else []),
            Value(one.gold_answer or NOTHING),
            Value(charts.VERDICT_TITLES[one.verdict], f"sure {one.confidence:.0%}" if one.confidence is not None else ""),
        ]
        for one in samples
    ]
    return Table(title, columns, rows, widths=(5, 4, 4, 3, 3) if with_base else (5, 5, 3, 3))


def _facts(told: Told) -> list[tuple[str, str]]:
    card = told.card
    settings: Mapping[str, Any] = card.settings
    facts = [
        ("Model", f"{card.artifact.name}, {card.artifact.hash[:12]}"),
        *((("Compared with", arm.model),) if (arm := card.baselines.get("base")) and arm.model else ()),
        ("Benchmark", f"{card.benchmark.name} {card.benchmark.version}, {card.n:,} questions, {card.benchmark.hash[:12]}"),
        ("Settings", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if _is_plain(value))),
        ("Code", str(card.environment.get("revision") or "unknown")),
        ("Asked by", f"{told.requested_by or 'the shell'}, {told.created_at:%d %B %Y}"),
    ]
    return [(name, value) for name, value in facts if value]


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _meanings(told: Sequence[Told]) -> Section:
    shown = {name for one in told for name in _shown(one.card)}
    rows = [[Value(_headed(one)), Value(one.formula), Value(one.source)] for name, one in FIGURES.items() if name in shown]
    note = "↑ higher is better, ↓ lower is better. A dash is a figure that could not be computed, which is never 0."
    return Section(
        "What the metrics are",
        [Table("What the metrics are", ["Metric", "Formula", "Source"], rows, note=note, widths=(3, 5, 4))],
    )


def _shown(card: Scorecard) -> Iterator[str]:
    """The names of all figures that the report shows of a scorecard."""
    yield from card.metrics
    change = card.change.metrics if card.change is not None else {}
    for figures in (*card.probes.values(), change, card.pairs, card.text, card.agreement):
        yield from figures


def _headed(metric: Metric[Any] | Meaning) -> str:
    # The arrow stays on the last word's line.
    arrow = {"higher": "\u00a0↑", "lower": "\u00a0↓"}.get(metric.better, "")
    return f"{metric.title}{arrow}"


def _titled(name: str) -> str:
    return _headed(FIGURES[name]) if name in FIGURES else name.replace("_", " ")


def measured(value: MetricValue | None, *, brief: bool = False, of: int | None = None) -> Value:
    """A figure with its interval; why there is none where there is none, unless that would take too much room.

    With its n where it rests on another number of answers than `of`, which the row's own column says.
    """
    if value is None or value.value is None:
        return Value(NOTHING, "" if value is None or brief else value.reason or "")
    n = f"n = {value.n:,}" if of is not None and value.n != of else ""
    return Value(number(value.value), ", ".join(one for one in (interval(value), n) if one))


def _signed_value(value: MetricValue) -> Value:
    if value.value is None:
        return Value(NOTHING, value.reason or "")
    return Value(signed(value.value), f"{signed(value.low)} to {signed(value.high)}" if value.low is not None else "")


def _cut(text: str) -> str:
    return text if len(text) <= ANSWER_AT_MOST else f"{text[: ANSWER_AT_MOST - 1]}…"
