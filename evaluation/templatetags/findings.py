"""What the capability guard and the validator found, as sections of a scorecard's page."""

from typing import Any

from django import template

from evaluation.guard.verdict import GuardReport
from evaluation.scorecards.scorecard import Scorecard
from evaluation.validator.report import ValidatorReport

register = template.Library()

GUARD_STATES = {
    "kept": ("kept", "succeeded"),
    "lost": ("lost", "failed"),
    "unclear": ("cannot tell", "stopped"),
    "unable": ("base cannot do it", "stopped"),
    "alone": ("", ""),
    "unasked": ("cannot tell", "stopped"),
}
VALIDATOR_STATES = {
    "found": ("found", "failed"),
    "inherited": ("as the base model", "stopped"),
    "clear": ("not found", "succeeded"),
    "unknown": ("cannot tell", "stopped"),
}
"""The words for each state, and the colour of their badge."""


@register.inclusion_tag("evaluation/_guard.html")
def guard_section(card: Scorecard) -> dict[str, Any]:
    report = GuardReport.model_validate(card.guard) if card.guard else None
    if report is None:
        return {"report": None}
    types = [*report.types.values(), *report.tasks.values()]
    kinds = [*report.types.values(), report.overall, *report.tasks.values()]
    rows = [(one, *GUARD_STATES[one.state]) for one in kinds if one is not None]
    return {
        "report": report,
        "rows": rows,
        "base": report.overall is not None or any(one.base for one in types),
        "cut": any(one.cut_off or one.cut_off_before for one in types),
    }


@register.inclusion_tag("evaluation/_validator.html")
def validator_section(card: Scorecard) -> dict[str, Any]:
    report = ValidatorReport.model_validate(card.validator) if card.validator else None
    if report is None:
        return {"report": None}
    rows = [(one, *VALIDATOR_STATES[one.state]) for one in report.findings.values()]
    return {"report": report, "rows": rows, "base": any(one.base for one in report.findings.values())}
