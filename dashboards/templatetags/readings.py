"""How the home page writes what was measured."""

from datetime import timedelta

from django import template

from jobs.figures import Measured

register = template.Library()
NOTHING = "—"
MINUTE, HOUR = 60, 3600


@register.filter
def share(reading: Measured | None) -> str:
    """A share as "95.8%"; one that was not measured is a dash, never 0."""
    return NOTHING if reading is None or reading.value is None else f"{reading.value:.1%}"


@register.filter
def share_interval(reading: Measured | None) -> str:
    """Its interval as "93.0 – 97.5%", or nothing."""
    if reading is None or reading.low is None or reading.high is None:
        return ""
    return f"{reading.low * 100:.1f} – {reading.high:.1%}"


@register.filter
def of(readings: dict[str, Measured], name: str) -> Measured | None:
    return readings.get(name)


@register.filter
def span(duration: timedelta | None) -> str:
    """75 s → "1 min 15 s"."""
    if duration is None:
        return NOTHING
    seconds = int(duration.total_seconds())
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min {seconds % MINUTE} s"
    return f"{seconds // HOUR} h {seconds % HOUR // MINUTE} min"


@register.filter
def energy(joules: float | None) -> str:
    """1250 J → "1.25 kJ"; where no meter could be read, it says so."""
    if joules is None:
        return "not readable"
    return f"{joules:.0f} J" if joules < 1000 else f"{joules / 1000:.2f} kJ" if joules < 1e6 else f"{joules / 3.6e6:.2f} kWh"
