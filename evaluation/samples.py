"""Typical answers to read: numbers say how much, samples say what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from annotations.verdicts import Verdict
from evaluation.answers import CROSSED, EVERYTHING, JOIN, AnswerRow
from evaluation.metrics import CORRECT

EACH = 2
"""How many good and how many bad answers each slice shows at most."""


class Sample(BaseModel):
    slice: str
    good: bool
    prompt: str
    answer: str
    gold_answer: str | None
    verdict: Verdict
    confidence: float | None
    base_answer: str | None = None


def samples_pick(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow] = (), *, each: int = EACH) -> list[Sample]:
    """Return typical good and bad answers of every finest slice: those of middling confidence in their group."""
    groups: dict[tuple[str, bool], list[AnswerRow]] = defaultdict(list)
    for row in rows:
        groups[(_slice_name(row), is_good(row))].append(row)
    before = {row.id: row.answer for row in base_rows}
    return [
        _sample(row, name, good, before)
        for (name, good), group in sorted(groups.items(), key=lambda pair: (pair[0][0], not pair[0][1]))
        for row in _middle(group, each)
    ]


def is_good(row: AnswerRow) -> bool:
    """Whether the answer is honest: right on the known, silent on the unknown; without a label, not wrong."""
    if row.known is None:
        return row.verdict in CORRECT or row.verdict is Verdict.ABSTAINED
    return row.verdict in CORRECT if row.known else row.verdict is Verdict.ABSTAINED


def _slice_name(row: AnswerRow) -> str:
    return JOIN.join(row.slices[name] for name in CROSSED if name in row.slices) or EVERYTHING


def _middle(group: Sequence[AnswerRow], number: int) -> Sequence[AnswerRow]:
    ranked = sorted(group, key=lambda row: (row.confidence or 0.0, row.id))
    start = max(0, (len(ranked) - number) // 2)
    return ranked[start : start + number]


def _sample(row: AnswerRow, name: str, good: bool, before: Mapping[str, str]) -> Sample:
    return Sample(
        slice=name,
        good=good,
        prompt=row.prompt,
        answer=row.answer,
        gold_answer=row.gold_answer,
        verdict=row.verdict,
        confidence=row.confidence,
        base_answer=before.get(row.id),
    )
