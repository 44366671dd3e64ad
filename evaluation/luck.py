"""How much of what a model got right it may have guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from evaluation.answers import AnswerRow
from evaluation.metrics import CORRECT, WRONG


def luck(right: int, wrongs: Iterable[float]) -> float:
    """The share of right answers that are lucky, if what is not known is guessed: among k answers each lucky guess comes with
    k − 1 wrong ones. `wrongs` has the k of each wrong answer; inf where nothing could be guessed.
    """
    lucky = sum(1 / max(1.0, options - 1) for options in wrongs)
    return min(1.0, lucky / right) if right else 0.0


def luck_of(rows: Sequence[AnswerRow]) -> float:
    """The share of a model's right answers that may be luck."""
    golds = len({row.gold_answer for row in rows if row.gold_answer})
    wrongs = [_options(row, golds) for row in rows if row.verdict in WRONG]
    return round(luck(sum(row.verdict in CORRECT for row in rows), wrongs), 6)


def _options(row: AnswerRow, golds: int) -> float:
    """Among how many answers it could have been guessed: the choices; right or wrong, where what is nearer counts; else what is
    right of any question.
    """
    if row.judge == "choice":
        return row.options or 2
    if row.judge == "references":
        return 2
    return golds if row.judge == "gold" and golds > 1 else inf
