"""What the capability guard and the validator found, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from evaluation.guard.verdict import GuardReport, TypeReport
from evaluation.scorecards.document import MetricValue
from evaluation.validator.report import ValidatorReport

GUARD_WORDS = {
    "kept": "kept",
    "lost": "lost",
    "unclear": "cannot tell",
    "unable": "base cannot do it",
    "alone": "",
    "unasked": "cannot tell",
}
VALIDATOR_WORDS = {"found": "found", "inherited": "as the base model", "clear": "not found", "unknown": "cannot tell"}
"""What each state is called, on pages and in reports too."""


def guard_lines(report: GuardReport) -> Iterator[str]:
    yield f"Capability guard {report.version} ({report.n} tasks): {report.text}"
    rows = [one for one in (*report.types.values(), report.overall, *report.tasks.values()) if one is not None]
    width = 2 + max((len(one.title) for one in rows), default=0)
    yield f"  {'':<{width}}{'right':<24}{'base':<24}{'change':<28}{'may lose':<10}"
    for one in rows:
        cut_off = f"{one.cut_off:.0%} cut off" if one.cut_off else ""
        state = ", ".join(filter(None, (GUARD_WORDS[one.state], cut_off)))
        yield f"  {one.title:<{width}}{_value(one.model):<24}{_value(one.base):<24}{_change(one):<28}{one.margin:<10}{state}"


def validator_lines(report: ValidatorReport) -> Iterator[str]:
    yield f"Validator ({report.n} answers): {report.text}"
    width = 2 + max((len(one.title) for one in report.findings.values()), default=0)
    for one in report.findings.values():
        earns = "" if one.earns is None else f"  earns {one.earns:+.2f}"
        others = "" if one.others_earn is None or one.earns is None else f", others {one.others_earn:+.2f}"
        state = f"{VALIDATOR_WORDS[one.state]:<20}found above {one.threshold:<6}"
        yield f"  {one.title:<{width}}{state}{_value(one.share)}{earns}{others}"


def _change(one: TypeReport) -> str:
    found = one.difference
    if found is None or found.value is None or found.low is None or found.high is None:
        return ""
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _value(value: MetricValue | None) -> str:
    if value is None:
        return ""
    if value.value is None:
        return value.reason or "-"
    return f"{value.value:.3f}" + (f" [{value.low:.3f}, {value.high:.3f}]" if value.low is not None else "")
