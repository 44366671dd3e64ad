"""How figures are written, on pages and in reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.scorecards.scorecard import MetricValue

DIGITS = 3
NOTHING = "—"


def number(value: float | None) -> str:
    """0.9583 → "0.958"; None, which is not 0, → "—"."""
    return NOTHING if value is None else _minus(f"{value:.{DIGITS}f}")


def signed(value: float | None) -> str:
    """0.25 → "+0.250"."""
    return NOTHING if value is None else _minus(f"{value:+.{DIGITS}f}")


def p_value(value: float | None) -> str:
    """0.0123 → "0.012"; what is smaller than can be told is "< 0.001", never 0."""
    return NOTHING if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(metric: MetricValue | Mapping[str, Any] | None) -> str:
    """The interval as "0.930 to 0.975", or nothing where there is none."""
    low, high = (_part(metric, "low"), _part(metric, "high")) if metric else (None, None)
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _part(metric: MetricValue | Mapping[str, Any], name: str) -> float | None:
    return metric.get(name) if isinstance(metric, Mapping) else getattr(metric, name)


def _minus(text: str) -> str:
    return text.replace("-", "−")
