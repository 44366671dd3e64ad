"""How the Evaluate pages write numbers."""

from collections.abc import Mapping
from typing import Any

from django import template

from evaluation.metrics import METRICS
from evaluation.scorecards.writing import NOTHING, interval, number, p_value, signed
from evaluation.selectors import slice_title

register = template.Library()
register.filter("slice_title", slice_title)
register.filter("number", number)
register.filter("signed", signed)
register.filter("interval", interval)
register.filter("p_value", p_value)


@register.filter
def metric_title(name: str) -> str:
    """As pages call a metric; rules name some that are none of ours no more."""
    return METRICS[name].title if name in METRICS else name


@register.filter
def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


@register.filter
def lookup(values: Mapping[Any, Any], key: Any) -> Any:
    """A mapping's value for a key that is itself a variable; None without one."""
    return values.get(key) if values else None
