"""Which version of the judge gave verdicts: two scorecards of one benchmark are alike only where it is the same."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent.parent
JUDGES_BY = (
    *(_ROOT / "annotations" / f"{name}.py" for name in ("verdicts", "stances", "numerals")),
    *(_ROOT / "evaluation" / f"{name}.py" for name in ("judging", "choosing", "similarity")),
    *sorted((_ROOT / "annotations").glob("verdict_phrases*.toml")),
)
"""What verdicts come from: code, and lists of phrases."""


@cache
def judge_version() -> str:
    """A hash of what judges, so that nobody has to remember to count a version up: twelve hexadecimal digits."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in JUDGES_BY)).hexdigest()[:12]
