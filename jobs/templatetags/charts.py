"""`{% chart one %}`: a chart with its menu and the table behind it, on any page of the site."""

from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from jobs.downloads import CHART_PARAMETER
from jobs.figures import Cell, Chart, Link, Measured
from jobs.templatetags.jobs import figure

register = template.Library()
# How a cell begins, by whether its column is of numbers.
_START = {True: '<td class="num">', False: "<td>"}
# Decimals of a number as large as this say nothing.
LARGE = 1000


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
    numbers = [not any(isinstance(row[place], (str, Link)) for row in shown.table) for place in range(len(shown.columns))]
    starts = [_START[is_number] for is_number in numbers]
    body = "".join([f"<tr>{_row(row, starts)}</tr>" for row in shown.table])
    return {
        "chart": shown,
        "columns": list(zip(shown.columns, numbers, strict=True)),
        "body": mark_safe(body),  # noqa: S308 (escaped cell by cell)
    }


@register.filter
def cells(row: Sequence[Cell]) -> SafeString:
    """Cells of a table that a page writes itself: as those behind a chart, and as fast."""
    starts = [_START[not isinstance(cell, (str, Link))] for cell in row]
    return mark_safe(_row(row, starts))  # noqa: S308 (escaped cell by cell)


def _row(row: Sequence[Cell], starts: Sequence[str]) -> str:
    return "".join([f"{start}{_html(cell)}</td>" for start, cell in zip(starts, row, strict=True)])


def _html(cell: Cell) -> str:
    """A cell as the page writes it; its interval below it, its link around it."""
    if isinstance(cell, Measured):
        write = _share if cell.is_share else _measured
        if cell.low is None or cell.high is None:
            return write(cell.value)
        return f'{write(cell.value)}<br><span class="muted">{write(cell.low)} to {write(cell.high)}</span>'
    if isinstance(cell, Link):
        text = escape(cell.text)
        return f'<a href="{escape(cell.url)}">{text}</a>' if cell.url else text
    return escape(cell) if isinstance(cell, str) else figure(cell)


def _parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """The page's filters, so that what is saved and linked is what is seen."""
    return [(name, value) for name, values in request.GET.lists() if name != CHART_PARAMETER for value in values]


def _measured(value: float | None) -> str:
    """In three decimals, so that those of a column stand below one another."""
    return figure(value) if value is None or abs(value) >= LARGE else f"{value:.3f}".replace("-", "−")


def _share(value: float | None) -> str:
    return figure(None) if value is None else f"{value:.1%}".replace("-", "−")
