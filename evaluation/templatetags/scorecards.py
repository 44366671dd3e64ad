"""How the Evaluate pages write numbers."""

from collections.abc import Mapping
from html import escape
from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe

from evaluation.metrics import METRICS
from evaluation.scorecards.writing import NOTHING, interval, number, p_value, signed
from evaluation.selectors import slice_title

register = template.Library()
register.filter("slice_title", slice_title)
register.filter("number", number)
register.filter("signed", signed)
register.filter("interval", interval)
register.filter("p_value", p_value)

# Cells that a page has by the hundred are written here: an included template took half of a model's page for them.
UNKNOWN = '<span class="muted" title="{reason}">—<span class="visually-hidden"> {reason}</span></span>'
UNSAID = '<span class="muted" title="">—</span>'
KNOWN = '<strong>{value}</strong><br> <span class="muted num">{interval}</span>'
VERDICTS = {
    "better": '<span class="badge badge--succeeded">better</span> ',
    "worse": '<span class="badge badge--failed">worse</span> ',
}
BELOW = '<br><span class="muted num">{}</span>'


@register.filter(is_safe=True)
def metric_cell(metric: Any) -> SafeString:
    """A value with its interval below it; a dash, which tells the reason, where it is not known.

    `metric` has `value`, `low`, `high` and perhaps `reason`, as attributes or as keys; or is nothing.
    """
    value = _told(metric, "value")
    if value is None:
        reason = _told(metric, "reason")
        text = UNKNOWN.format(reason=escape(str(reason))) if reason else UNSAID
    else:
        low, high = _told(metric, "low"), _told(metric, "high")
        known = low is not None and high is not None
        text = KNOWN.format(value=number(value), interval=f"{number(low)} to {number(high)}" if known else "")
    return mark_safe(text)  # noqa: S308 (the reason is escaped, the rest is numbers)


@register.simple_tag
def change_cell(change: Any, verdict: str) -> SafeString:
    """A difference with its sign, what to make of it ("better", "worse" or ""), its interval and its adjusted p."""
    value = _told(change, "value")
    if value is None:
        return mark_safe('<span class="muted">—</span>')
    low, p = _told(change, "low"), _told(change, "p_adjusted")
    text = f"{VERDICTS.get(verdict, '')}<strong>{signed(value)}</strong>"
    if low is not None:
        text += BELOW.format(f"{signed(low)} to {signed(_told(change, 'high'))}")
    if p is not None:
        text += BELOW.format(f"p {escape(p_value(p))}")
    return mark_safe(text)  # noqa: S308 (only numbers)


def _told(of: Any, name: str) -> Any:
    return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)


@register.filter
def metric_title(name: str) -> str:
    """As pages call a metric; rules name some that are none of ours no more."""
    return METRICS[name].title if name in METRICS else name


@register.filter
def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


@register.filter
def clip(text: str | None, length: int) -> str:
    """The first `length` characters with a sign that there is more: `truncatechars` looks each time up how that is translated."""
    text = text or ""
    return text if len(text) <= length else f"{text[: length - 1]}…"


@register.filter
def lookup(values: Mapping[Any, Any], key: Any) -> Any:
    """A mapping's value for a key that is itself a variable; None without one."""
    return values.get(key) if values else None
