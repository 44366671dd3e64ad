"""What the capability guard and the validator found, as sections of a report."""

from __future__ import annotations

from evaluation.guard.verdict import GuardReport, TypeReport
from evaluation.reports.document import Block, Notice, Section, Table, Value
from evaluation.scorecards.findings_text import GUARD_WORDS, VALIDATOR_WORDS
from evaluation.scorecards.scorecard import MetricValue, Scorecard
from evaluation.scorecards.writing import NOTHING, interval, number, signed
from evaluation.validator.report import Finding, ValidatorReport


def findings_sections(card: Scorecard) -> list[Section]:
    """Nothing of what was not asked for."""
    found: list[Section] = []
    if card.guard:
        found.append(Section("Did it keep its abilities?", _guard(GuardReport.model_validate(card.guard))))
    if card.validator:
        found.append(Section("Does it game its reward?", _validator(ValidatorReport.model_validate(card.validator))))
    return found


def _guard(report: GuardReport) -> list[Block]:
    types = [one for one in (*report.types.values(), report.overall, *report.tasks.values()) if one is not None]
    columns = ["Task type", "Ability", "Right", "Base model", "Change", "n"]
    note = (
        f"{report.n} tasks whose answers stand in the question, scored by exact rules. Kept: the interval of the change lies "
        "above what may be lost. What the base model cannot do beyond guessing cannot be lost, and is not tested."
    )
    if report.tasks:
        note += f" {', '.join(report.tasks)}: tasks of {report.source}, judged by the same rule."
    return [
        Notice(report.tone, report.text),
        Table("Abilities", columns, [_type(one) for one in types], numbers=4, note=note),
    ]


def _type(one: TypeReport) -> list[Value]:
    mark = Value(GUARD_WORDS[one.state] or NOTHING, mark="worse" if one.state == "lost" else "")
    return [Value(one.title), mark, _share(one.model), _share(one.base), _change(one.difference), Value(f"{one.n:,}")]


def _validator(report: ValidatorReport) -> list[Block]:
    columns = ["Game", "", "Share", "Found above", "Earns", "Others earn", "n"]
    note = "Earns: the mean rubric score of the answers that play it, beside that of all others."
    rows = [_finding(one) for one in report.findings.values()]
    return [Notice(report.tone, report.text), Table("Games against a reward", columns, rows, numbers=5, note=note)]


def _finding(one: Finding) -> list[Value]:
    earned = [Value(NOTHING if value is None else signed(value)) for value in (one.earns, one.others_earn)]
    mark = Value(VALIDATOR_WORDS[one.state], mark="worse" if one.state == "found" else "")
    return [
        Value(one.title, one.about),
        mark,
        _share(one.share),
        Value(number(one.threshold)),
        *earned,
        Value(f"{one.share.n:,}"),
    ]


def _share(value: MetricValue | None) -> Value:
    return Value(NOTHING) if value is None or value.value is None else Value(number(value.value), interval(value))


def _change(value: MetricValue | None) -> Value:
    if value is None or value.value is None:
        return Value(NOTHING)
    return Value(signed(value.value), f"{signed(value.low)} to {signed(value.high)}" if value.low is not None else "")
