"""A report as a PDF: typeset by Typst from `report.typ`, which gets all words as data, so that none can be taken for markup."""

import re
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from evaluation.reports.document import Block, Picture, Report, Section, Table
from jobs.pictures import colours, print_of

TEMPLATE = Path(__file__).with_name("report.typ")
# A word longer than a column is wide may break anywhere; Typst breaks words at syllables only.
_LONG_WORD = re.compile(r"[^\s\u200b]{16,}")
_MAY_BREAK = "\u200b"
# Behind a chart: what is longer stands in the HTML file.
ROWS_AT_MOST = 16


def report_pdf(report: Report, *, made_at: datetime) -> bytes:
    """The file: A4, its pictures as vectors, tagged for screen readers as PDF/UA asks."""
    # A typesetter of 34 MB, for what is asked for now and then.
    import typst  # noqa: PLC0415 (weight)

    document = {
        "title": report.title,
        "subtitle": report.subtitle,
        "colours": colours("light"),
        "parts": [{"title": part.title, "sections": [_section(one) for one in part.sections]} for part in report.parts],
        "appendix": [_section(one) for one in report.appendix],
    }
    made: bytes = typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"data": orjson.dumps(document).decode()},
        font_paths=_fonts(),
        timestamp=made_at.replace(microsecond=0),
        pdf_standards="ua-1",
    )
    return made


@lru_cache
def _fonts() -> Any:
    """The font that the charts are drawn in comes with matplotlib; what it lacks is looked for in the machine's own."""
    import typst  # noqa: PLC0415 (weight)
    from matplotlib import get_data_path  # noqa: PLC0415 (weight)

    return typst.Fonts(font_paths=[str(Path(get_data_path(), "fonts", "ttf"))])


def _section(section: Section) -> dict[str, Any]:
    return {"title": section.title, "blocks": [_block(one) for one in section.blocks]}


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Picture):
        table = _table(block.table) if len(block.table.rows) <= ROWS_AT_MOST else None
        left_out = "" if table else f"Its {len(block.table.rows)} rows of numbers are in the HTML file of this report."
        picture = {"title": block.chart.title, "svg": print_of(block.chart).decode(), "table": table, "left_out": left_out}
        return {"kind": "picture", **picture}
    return _table(block) if isinstance(block, Table) else asdict(block)


def _table(table: Table) -> dict[str, Any]:
    rows = [[{**asdict(cell), "text": _breakable(cell.text)} for cell in row] for row in table.rows]
    return {**asdict(table), "rows": rows}


def _breakable(text: str) -> str:
    return _LONG_WORD.sub(lambda found: _MAY_BREAK.join(found[0]), text)
