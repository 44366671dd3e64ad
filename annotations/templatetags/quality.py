"""How the pages of annotation quality write figures with their intervals."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

NOTHING = "–"


@register.filter
def fraction(value: float | None) -> str:
    """0.8154 → "0.82"; None, which is not 0, → "–"."""
    return NOTHING if value is None else _minus(f"{value:.2f}")


@register.filter
def difference(value: float | None) -> str:
    """−0.25 → "−0.25", 0.25 → "+0.25"."""
    return NOTHING if value is None else _minus(f"{value:+.2f}")


@register.filter
def share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


STYLES = {"fraction": fraction, "difference": difference, "share": share}


@register.simple_tag
def figure(one: Mapping[str, Any], style: str = "fraction") -> SafeString:
    """A figure with its interval; without a value a dash, whose reason is read out and shown on hovering."""
    write = STYLES[style]
    if one["value"] is None:
        return format_html(
            '<span class="muted" title="{}">{}<span class="visually-hidden"> {}</span></span>',
            one["reason"],
            NOTHING,
            one["reason"],
        )
    if not one["interval"]:
        return format_html('<span title="{}">{}</span>', one["reason"] or "", write(one["value"]))
    low, high = write(one["interval"]["low"]), write(one["interval"]["high"])
    return format_html('{} <span class="muted small nowrap">{} to {}</span>', write(one["value"]), low, high)


def _minus(text: str) -> str:
    return text.replace("-", "−")
