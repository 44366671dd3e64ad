"""`{% chart one %}`: a chart with its menu and the table behind it, on any page of the site."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from jobs.downloads import CHART_PARAMETER
from jobs.figures import Cell, Chart, Link, Measured
from jobs.templatetags.jobs import figure

register = template.Library()


@dataclass(frozen=True)
class Shown:
    """A cell as the page writes it; its interval below it, its link around it."""

    text: str
    is_number: bool = True
    interval: str = ""
    url: str = ""


@register.inclusion_tag("_chart.html", takes_context=True)
def chart(context: template.Context, shown: Chart, *, size: str = "", titled: bool = True, tabled: bool = True) -> dict[str, Any]:
    """`size`: "small" or "tall". `titled`: whether the title stands above; without, a heading of the page says the same.
    `tabled`: whether the table stands behind it; without, a table of the page says the same.
    """
    request = context.get("request")
    here = _parameters(request) if isinstance(request, HttpRequest) else []
    return {
        "chart": shown,
        "size": f" chart--{size}" if size else "",
        "titled": titled,
        "tabled": tabled,
        "csv": shown.csv or f"?{urlencode([*here, (CHART_PARAMETER, shown.id)])}",
        "link": f"?{urlencode(here)}#figure-{shown.id}" if here else f"#figure-{shown.id}",
    }


@register.inclusion_tag("_chart_table.html")
def chart_table(shown: Chart) -> dict[str, Any]:
    """The table behind a chart. Its body is written here: a template takes thirty times as long for thousands of cells."""
    rows = [[_cell(cell) for cell in row] for row in shown.table]
    numbers = [all(row[place].is_number for row in rows) for place in range(len(shown.columns))]
    body = "".join(f"<tr>{_row(row, numbers)}</tr>" for row in rows)
    return {
        "chart": shown,
        "columns": list(zip(shown.columns, numbers, strict=True)),
        "body": mark_safe(body),  # noqa: S308 (escaped cell by cell)
    }


@register.filter
def cells(row: Sequence[Cell]) -> SafeString:
    """Cells of a table that a page writes itself: as those behind a chart, and as fast."""
    shown = [_cell(cell) for cell in row]
    return mark_safe(_row(shown, [one.is_number for one in shown]))  # noqa: S308 (escaped cell by cell)


def _row(row: Sequence[Shown], numbers: Sequence[bool]) -> str:
    starts = ['<td class="num">' if is_number else "<td>" for is_number in numbers]
    return "".join(f"{start}{_html(cell)}</td>" for start, cell in zip(starts, row, strict=True))


def _html(cell: Shown) -> str:
    text: str = escape(cell.text)
    if cell.url:
        text = f'<a href="{escape(cell.url)}">{text}</a>'
    return f'{text}<br><span class="muted">{escape(cell.interval)}</span>' if cell.interval else text


def _parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """The page's filters, so that what is saved and linked is what is seen."""
    return [(name, value) for name, values in request.GET.lists() if name != CHART_PARAMETER for value in values]


def _cell(cell: Cell) -> Shown:
    if isinstance(cell, Link):
        return Shown(cell.text, is_number=False, url=cell.url)
    if isinstance(cell, Measured):
        known = cell.low is not None and cell.high is not None
        write = _share if cell.is_share else figure
        return Shown(write(cell.value), interval=f"{write(cell.low)} to {write(cell.high)}" if known else "")
    return Shown(cell, is_number=False) if isinstance(cell, str) else Shown(figure(cell))


def _share(value: float | None) -> str:
    return figure(None) if value is None else f"{value:.1%}".replace("-", "−")
