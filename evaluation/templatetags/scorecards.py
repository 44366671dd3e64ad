"""How the Evaluate pages write numbers."""

from collections.abc import Mapping
from typing import Any

from django import template

from evaluation.scorecard import MetricValue
from evaluation.selectors import slice_title

register = template.Library()
register.filter("slice_title", slice_title)

DIGITS = 3
NOTHING = "—"


@register.filter
def number(value: float | None) -> str:
    """0.9583 → "0.958"; None, which is not 0, → "—"."""
    return NOTHING if value is None else _minus(f"{value:.{DIGITS}f}")


@register.filter
def signed(value: float | None) -> str:
    """0.25 → "+0.250"."""
    return NOTHING if value is None else _minus(f"{value:+.{DIGITS}f}")


@register.filter
def interval(metric: MetricValue | Mapping[str, Any] | None) -> str:
    """The interval as "0.930 to 0.975", or nothing where there is none."""
    low, high = (_part(metric, "low"), _part(metric, "high")) if metric else (None, None)
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


@register.filter
def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


@register.filter
def lookup(values: Mapping[Any, Any], key: Any) -> Any:
    """A mapping's value for a key that is itself a variable; None without one."""
    return values.get(key) if values else None


def _part(metric: MetricValue | Mapping[str, Any], name: str) -> float | None:
    return metric.get(name) if isinstance(metric, Mapping) else getattr(metric, name)


def _minus(text: str) -> str:
    return text.replace("-", "−")
