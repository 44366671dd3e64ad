"""What is said of a round that trains on few rows, and whether it may train at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.self_rewarding.settings import METHODS, Method

FEWEST = 2
"""One row alone shows no more than itself: a round trains on no fewer."""
ENOUGH = 20
"""Of fewer rows a page warns. A rule of thumb: nobody has shown where a round begins to teach."""
ROWS: dict[str, tuple[str, str]] = {
    "preference": ("pair", "pairs"),
    "scored": ("scored answer", "scored answers"),
    "weighted": ("weighted group", "weighted groups"),
}
MORE = "Another judge, more answers to a prompt, or a smaller gap may give more."


def rows_left(figures: Mapping[str, Any], method: Method) -> str:
    """How many rows a round's answers give, and why not more, in words without a full stop."""
    one, many = ROWS[METHODS[method][1]]
    count, prompts, dropped = figures["rows"][method], figures["prompts"], figures["dropped"]
    parts = ("prompts", "answers") if method == "dpo" else ("answers",)  # of prompts only pairs are left out
    why = [f"{n:,} × {reason}" for part in parts for reason, n in dropped[part].items()]
    told = f"{count:,} {one if count == 1 else many} came of {prompts:,} prompt{'' if prompts == 1 else 's'}"
    return f"{told} (left out: {', '.join(why)})" if why else told


def few_rows(figures: Mapping[str, Any] | None, method: Method) -> str:
    """A warning where a round has few rows; empty where it has enough, or is not that far."""
    if not figures or not FEWEST <= figures["rows"][method] < ENOUGH:
        return ""
    return f"{rows_left(figures, method)}. So few teach next to nothing, and what is measured after it is mostly chance. {MORE}"
