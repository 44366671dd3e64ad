"""The table of models, written here: a template takes half of the page's time for two hundred of them."""

from collections.abc import Sequence
from html import escape

from django import template
from django.utils.safestring import SafeString, mark_safe

from dashboards.overview import MeasuredModel
from jobs.figures import Measured
from jobs.templatetags.charts import cells

register = template.Library()
ROW = (
    '<tr><td><input type="checkbox" name="ids" value="{key}" aria-label="Compare {label}"></td>'
    '<th scope="row"><a href="{url}">{label}</a>{promoted}</th>'
    '<td class="wrap"><span class="badge badge--{kind}">{word}</span> {conclusion}</td>{cells}<td class="nowrap">{day}</td></tr>'
)
CHAMPION, FORMER = '<br><span class="badge badge--succeeded">{}</span>', '<br><span class="badge">{}</span>'
REVOKED = '<br><a class="badge badge--failed" href="{url}">{titles}</a>'


@register.simple_tag
def model_rows(rows: Sequence[tuple[MeasuredModel, str, Sequence[Measured]]]) -> SafeString:
    """A row each, of a model, the address of its page and its figures."""
    return mark_safe("".join([_row(*row) for row in rows]))  # noqa: S308 (texts are escaped, the rest is numbers)


def _row(one: MeasuredModel, url: str, figures: Sequence[Measured]) -> str:
    kind, word = one.mark
    return ROW.format(
        key=one.key,
        label=escape(one.label),
        url=escape(url),
        promoted=_promoted(one) if one.promotions else "",
        kind=kind,
        word=word,
        conclusion=escape(one.conclusion),
        cells=cells(figures),
        day=one.day,
    )


def _promoted(one: MeasuredModel) -> str:
    titles = escape(one.titles)
    if one.revoked:
        return REVOKED.format(url=escape(one.revoked[0].get_absolute_url()), titles=titles)
    return (CHAMPION if one.champion_of else FORMER).format(titles)
