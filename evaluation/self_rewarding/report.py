"""The report on a loop as a file: what happened, the curves and distributions of its page, and the settings; as HTML or PDF."""

from __future__ import annotations

from django.utils import timezone

from evaluation.metrics import METRICS
from evaluation.reports.content import behind
from evaluation.reports.document import Block, Facts, Notice, Part, Picture, Report, Section, Table, Value
from evaluation.reports.html import report_html
from evaluation.reports.making import TYPES, ReportFile
from evaluation.reports.pdf import report_pdf
from evaluation.scorecards.writing import NOTHING, interval, number
from evaluation.self_rewarding.charts import loop_charts
from evaluation.self_rewarding.few import few_rows
from evaluation.self_rewarding.selectors import LoopDetail, Round, honesty
from evaluation.self_rewarding.settings import LoopSettings

RULES = {
    "fell": "Ends when held-out honesty is shown to have fallen: a paired 95 % interval wholly below {least}.",
    "not-shown": "Ends unless it is shown not to have fallen: a paired 95 % interval that reaches below {least}.",
    "never": "Does all rounds.",
}
SHOWN = ("method", "judge", "judge_prompt", "uses_reference", "samples", "temperature", "prompts", "prompts_per_round", "min_gap",
         "seed", "hardware_tag")  # fmt: skip


def rule_of(settings: LoopSettings) -> str:
    """The rule of the early stop, in words."""
    return RULES[settings.stop].format(least=f"−{settings.margin:g}" if settings.margin else "0")


def loop_report(loop: LoopDetail, *, format: str) -> ReportFile:
    """The report as it is saved; `format` is a key of TYPES."""
    now = timezone.now()
    title = f"Self-rewarding: {loop.settings.model}, {loop.state}"
    subtitle = f"Made on {now:%d %B %Y at %H:%M} UTC; loop {loop.pipeline.pk}, begun on {loop.pipeline.created_at:%d %B %Y}"
    sections = [
        Section("Round by round", [_table(loop), *_decisions(loop)]),
        Section("Curves and distributions", [Picture(chart, behind(chart)) for chart in loop_charts(loop).values()]),
        Section("How it was done", [Facts(_facts(loop))]),
    ]
    report = Report(title, subtitle, [Part("All rounds", [one for one in sections if one.blocks])])
    content = report_pdf(report, made_at=now) if format == "pdf" else report_html(report)
    return ReportFile(f"self-rewarding-{loop.pipeline.pk}.{format}", TYPES[format], content)


def _table(loop: LoopDetail) -> Table:
    metric = loop.settings.metric
    columns = ["Model", METRICS[metric].title, "Answers judged", "Pairs", "Mean score"]
    start = [Value(str(loop.start or NOTHING), "where it began"), _honesty(honesty(loop.start_evaluation, metric))]
    rows = [[*start, Value(NOTHING), Value(NOTHING), Value(NOTHING)]]
    rows += [_row(one, metric) for one in loop.rounds]
    note = "Intervals are 95 %. Whether a round was better or worse is told by the paired differences below, not by these."
    return Table("Round by round", columns, rows, numbers=4, note=note)


def _row(one: Round, metric: str) -> list[Value]:
    figures = one.figures or {}
    mean = figures.get("score_mean")
    return [
        Value(str(one.run or one.model), f"round {one.number}"),
        _honesty(honesty(one.evaluation, metric)),
        Value(f"{figures['scored']:,} of {figures['answers']:,}" if figures else NOTHING),
        Value(f"{figures['rows']['dpo']:,}" if figures else NOTHING),
        Value(NOTHING if mean is None else f"{mean:+.2f}"),
    ]


def _honesty(found: dict[str, float] | None) -> Value:
    if found is None:
        return Value(NOTHING, "not measured")
    return Value(number(found["value"]), interval({"low": found.get("low"), "high": found.get("high")}))


def _decisions(loop: LoopDetail) -> list[Block]:
    told: list[Block] = []
    for one in loop.rounds:
        if few := few_rows(one.figures, loop.settings.method):
            told.append(Notice("warn", f"Round {one.number}: {few}"))
        if one.decision is not None:
            told.append(Notice("info" if one.decision["goes_on"] else "warn", f"Round {one.number}: {one.decision['reason']}"))
        told += [
            Notice("error", f"Round {one.number}, {step.stage}: {step.job.reason} {step.job.hint}".strip())
            for step in one.steps
            if step.job is not None and step.job.state == "failed"
        ]
    return told


def _facts(loop: LoopDetail) -> list[tuple[str, str]]:
    values = loop.settings.model_dump(mode="json")
    facts = [("Early stop", rule_of(loop.settings))]
    facts += [("Benchmark", str(loop.benchmark)), ("Recipe", loop.settings.recipe_name)]
    facts += [(name.replace("_", " ").capitalize(), str(values[name])) for name in SHOWN if values[name] not in (None, "")]
    return facts
