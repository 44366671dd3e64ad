"""What the capability guard and the validator found, as sections of a scorecard's page."""

from typing import Any

from django import template

from evaluation.guard.verdict import GuardReport
from evaluation.scorecards.findings_text import GUARD_WORDS, VALIDATOR_WORDS
from evaluation.scorecards.scorecard import Scorecard
from evaluation.validator.report import ValidatorReport

register = template.Library()

GUARD_COLOURS = {"kept": "succeeded", "lost": "failed", "alone": ""}
VALIDATOR_COLOURS = {"found": "failed", "clear": "succeeded"}
"""Of the badge of a state; of any other it is that of what cannot be told."""
OTHER_COLOUR = "stopped"


@register.inclusion_tag("evaluation/_guard.html")
def guard_section(card: Scorecard) -> dict[str, Any]:
    report = GuardReport.model_validate(card.guard) if card.guard else None
    if report is None:
        return {"report": None}
    types = [*report.types.values(), *report.tasks.values()]
    kinds = [*report.types.values(), report.overall, *report.tasks.values()]
    rows = [(one, GUARD_WORDS[one.state], GUARD_COLOURS.get(one.state, OTHER_COLOUR)) for one in kinds if one is not None]
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
    rows = [(one, VALIDATOR_WORDS[one.state], VALIDATOR_COLOURS.get(one.state, OTHER_COLOUR)) for one in report.findings.values()]
    return {"report": report, "rows": rows, "base": any(one.base for one in report.findings.values())}
