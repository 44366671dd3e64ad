"""`report.html`: a run on one page, self-contained and without script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; margin-bottom: 2rem; font-variant-numeric: tabular-nums }}
th, td {{ text-align: left; padding: .25rem .75rem; border-bottom: 1px solid #8886; overflow-wrap: anywhere }}
</style></head><body><h1>{title}</h1>
{tables}
</body></html>
"""


def write_report(path: Path, *, title: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write one table per section, a line per name and value."""
    tables = "\n".join(_table(heading, values) for heading, values in sections.items())
    path.write_text(_PAGE.format(title=escape(title), tables=tables), encoding="utf-8")


def _table(heading: str, values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(str(name))}</th><td>{escape(_shown(value))}</td></tr>" for name, value in values.items()
    )
    return f"<h2>{escape(heading)}</h2><table>{rows}</table>"


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
