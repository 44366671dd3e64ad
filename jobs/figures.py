"""A chart as the whole site has it: a figure, and the table behind it. Knows no kind of chart and no Django.

A figure is Plotly's `{data, layout}` without fonts, axis colours and margins, which the page gives; a colour is the name of a
token of tokens.css ("token:series-1").
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import floor, isfinite, log10
from typing import Any, TypeAlias

Figure: TypeAlias = dict[str, Any]
PLACES = 6

# A spreadsheet takes a cell that starts like a formula for one; a signed number is none.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]\d+(\.\d+)?%?")


@dataclass(frozen=True)
class Link:
    """A cell that leads somewhere."""

    text: str
    url: str


@dataclass(frozen=True)
class Measured:
    """A number with its interval, where it has one; `value` is None where it could not be measured, which is not 0.

    `is_share`: a page writes it in per cent.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    is_share: bool = False


Cell: TypeAlias = str | int | float | Link | Measured | None


@dataclass(frozen=True)
class Chart:
    """A figure, and the table behind it. `id` is unique on a page; it names the chart in addresses too (`?csv=ID`, `#figure-ID`).

    `csv`: where the numbers are to be had, for charts whose page does not answer `?csv=ID` itself. `every`: all rows, for the
    file, where the page's table has only some of them.
    """

    id: str
    title: str
    figure: Figure
    columns: Sequence[str]
    table: Sequence[Sequence[Cell]]
    csv: str = ""
    every: Callable[[], Sequence[Sequence[Cell]]] | None = None

    def taken_from(self, csv: str) -> "Chart":
        """The same chart, its numbers to be had at `csv`."""
        return replace(self, csv=csv)


def chart_csv(chart: Chart) -> str:
    """The numbers behind a chart. One with an interval takes three columns; nothing stands where nothing was measured."""
    table = chart.every() if chart.every else chart.table
    wide = [any(isinstance(row[place], Measured) for row in table) for place in range(len(chart.columns))]
    names = zip(chart.columns, wide, strict=True)
    headings = [(name, f"{name}: low", f"{name}: high") if is_wide else (name,) for name, is_wide in names]
    return csv_text([[one for heading in headings for one in heading], *(_row(row, wide) for row in table)])


def _row(row: Sequence[Cell], wide: Sequence[bool]) -> list[Any]:
    return [one for cell, is_wide in zip(row, wide, strict=True) for one in _written(cell, is_wide=is_wide)]


def _written(cell: Cell, *, is_wide: bool) -> tuple[Any, ...]:
    if isinstance(cell, Measured):
        return cell.value, cell.low, cell.high
    shown = cell.text if isinstance(cell, Link) else cell
    return (shown, None, None) if is_wide else (shown,)


def rounded(value: Any) -> Any:
    """Without digits that no measurement has, in whatever holds the numbers: six places, and of a small number six digits."""
    if isinstance(value, float):
        if not isfinite(value) or value == 0:
            return value
        return round(value, max(PLACES, PLACES - 1 - floor(log10(abs(value)))))
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return rounded(asdict(value)) if isinstance(value, Measured | Link) else value


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as a CSV file in which no cell is a formula, and no number has digits that nobody measured."""
    out = io.StringIO()
    csv.writer(out).writerows([harmless(rounded(cell)) for cell in row] for row in rows)
    return out.getvalue()


def harmless(cell: Any) -> Any:
    """A cell of a CSV file that no spreadsheet computes: a text that begins like a formula gets a quote before it."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def error_bars(values: Sequence[Measured], colour: str) -> Figure:
    """Plotly's bars for the intervals of some points, in their order; a point without an interval has none."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [_gap(one.high, one.value) for one in values],
        "arrayminus": [_gap(one.value, one.low) for one in values],
        "color": colour,
        "thickness": 1.2,
        "width": 3,
    }


def _gap(upper: float | None, lower: float | None) -> float:
    return upper - lower if upper is not None and lower is not None else 0.0
