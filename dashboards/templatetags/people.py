"""The table of annotators, written here: a template takes a quarter of the page's time for fifty of them."""

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dashboards.people import People, Person
from evaluation.scorecards.writing import NOTHING, number, signed
from jobs.figures import Measured

register = template.Library()
ROW = (
    '<tr><td><input type="checkbox" name="person" value="{name}" aria-label="Draw {name}"{checked}></td>'
    '<th scope="row"><a href="{url}">{name}</a>{revoked}</th>'
    '<td class="num">{scores}</td><td class="num">{mean}</td><td class="num">{unverified}</td>'
    '<td class="num">{bias}</td><td class="num">{kappa}</td><td class="num">{gold}</td><td class="wrap">{signals}</td></tr>'
)
REVOKED = ' <a class="badge badge--failed" href="{url}">{scores} revoked</a>'
MUTED = '<span class="muted">{}</span>'


@register.simple_tag
def annotator_rows(found: People, shown: list[str]) -> SafeString:
    """A row each; those in `shown` are ticked."""
    rows = (_row(found.project.slug, one, is_shown=one.name in shown) for one in found.people)
    return mark_safe("".join(rows))  # noqa: S308 (names and signals are escaped, the rest is numbers)


def _row(slug: str, one: Person, *, is_shown: bool) -> str:
    return ROW.format(
        name=escape(one.name),
        checked=" checked" if is_shown else "",
        url=escape(reverse("annotations:project-quality-annotator", args=[slug, one.rater])),
        revoked=_revoked(one),
        scores=intcomma(one.spread.scores),
        mean=signed(one.spread.mean),
        unverified=intcomma(one.spread.unverified),
        bias=_difference(one.bias),
        kappa=_measured(one.kappa),
        gold=_measured(one.gold),
        signals=escape(" ".join(one.signals)) if one.signals else MUTED.format(NOTHING),
    )


def _revoked(one: Person) -> str:
    """Not among the scores beside it; the ledger says why."""
    url = reverse("evaluation:ledger-rater", args=[one.rater])
    return REVOKED.format(url=escape(url), scores=intcomma(one.revoked)) if one.revoked else ""


def _difference(bias: Measured) -> str:
    known = bias.low is not None and bias.high is not None
    return (
        f"{signed(bias.value)}<br>{MUTED.format(f'{signed(bias.low)} to {signed(bias.high)}')}" if known else signed(bias.value)
    )


def _measured(one: Measured) -> str:
    if one.value is None:
        return MUTED.format(NOTHING)
    known = one.low is not None and one.high is not None
    beside = f'<br><span class="muted num">{number(one.low)} to {number(one.high)}</span>' if known else ""
    return f"<strong>{number(one.value)}</strong>{beside}"
