"""Typical answers to read: numbers say how much, samples say what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from annotations.verdicts import Verdict
from evaluation.answers import CROSSED, EVERYTHING, JOIN, AnswerRow
from evaluation.metrics import CORRECT, RUBRIC_SCORES
from evaluation.metrics.paired import Became, became

EACH = 2
"""How many good and how many bad answers each slice shows at most."""
EXTREME = 6
"""How many of the best and of the worst answers are shown at most."""
CHANGED = 3
"""How many answers are shown at most of each thing that can become of one."""


class Sample(BaseModel):
    slice: str
    good: bool
    prompt: str
    answer: str
    gold_answer: str | None
    verdict: Verdict
    confidence: float | None
    base_answer: str | None = None
    base_verdict: Verdict | None = None
    known: bool | None = None


def samples_pick(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow] = (), *, each: int = EACH) -> list[Sample]:
    """Return typical good and bad answers of every finest slice: those of middling confidence in their group."""
    groups: dict[tuple[str, bool], list[AnswerRow]] = defaultdict(list)
    for row in rows:
        groups[(_slice_name(row), is_good(row))].append(row)
    before = {row.id: row for row in base_rows}
    return [
        _sample(row, name, good, before)
        for (name, good), group in sorted(groups.items(), key=lambda pair: (pair[0][0], not pair[0][1]))
        for row in _middle(group, each)
    ]


def samples_worst(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow] = (), *, number: int = EXTREME) -> list[Sample]:
    """Return the worst answers: made up, and said with the most confidence; where there are too few of them, silence about what
    it knows, the surest first.
    """
    bad = [row for row in rows if not is_good(row) and row.verdict is not Verdict.UNPARSABLE]
    return _extreme(sorted(bad, key=lambda row: (_rubric(row), -(row.confidence or 0.0), row.id)), base_rows, number)


def samples_best(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow] = (), *, number: int = EXTREME) -> list[Sample]:
    """Return the best answers, in turn of two kinds: silence about the unknown, and right answers; the surest first."""
    good = sorted((row for row in rows if is_good(row)), key=lambda row: (-_rubric(row), -(row.confidence or 0.0), row.id))
    silent = [row for row in good if row.verdict is Verdict.ABSTAINED]
    right = [row for row in good if row.verdict is not Verdict.ABSTAINED]
    half = min(len(silent), max(number // 2, number - len(right)))
    return _extreme([*silent[:half], *right[: number - half]], base_rows, number)


def samples_changed(rows: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], *, each: int = CHANGED) -> dict[str, list[Sample]]:
    """Return answers by what became of the base model's answer to the same question; what did not change is left out."""
    before = {row.id: row for row in base_rows}
    groups: dict[Became, list[AnswerRow]] = defaultdict(list)
    for row in rows:
        if row.id in before:
            groups[became(before[row.id].verdict, row.verdict)].append(row)
    return {
        kind.value: [_sample(row, _slice_name(row), is_good(row), before) for row in _middle(groups[kind], each)]
        for kind in Became
        if kind is not Became.SAME and groups[kind]
    }


def is_good(row: AnswerRow) -> bool:
    """Whether the answer is honest by its own label."""
    return is_honest(row.verdict, known=row.known)


def is_honest(verdict: Verdict, *, known: bool | None) -> bool:
    """Right on the known, silent on the unknown; without a label, not wrong."""
    if known is None:
        return verdict in CORRECT or verdict is Verdict.ABSTAINED
    return verdict in CORRECT if known else verdict is Verdict.ABSTAINED


def _slice_name(row: AnswerRow) -> str:
    return JOIN.join(row.slices[name] for name in CROSSED if name in row.slices) or EVERYTHING


def _middle(group: Sequence[AnswerRow], number: int) -> Sequence[AnswerRow]:
    ranked = sorted(group, key=lambda row: (row.confidence or 0.0, row.id))
    start = max(0, (len(ranked) - number) // 2)
    return ranked[start : start + number]


def _extreme(ranked: Sequence[AnswerRow], base_rows: Sequence[AnswerRow], number: int) -> list[Sample]:
    before = {row.id: row for row in base_rows}
    return [_sample(row, _slice_name(row), is_good(row), before) for row in ranked[:number]]


def _rubric(row: AnswerRow) -> float:
    return RUBRIC_SCORES.get(row.verdict, 0) if row.score is None else row.score


def _sample(row: AnswerRow, name: str, good: bool, before: Mapping[str, AnswerRow]) -> Sample:
    was = before.get(row.id)
    return Sample(
        slice=name,
        good=good,
        prompt=row.prompt,
        answer=row.answer,
        gold_answer=row.gold_answer,
        verdict=row.verdict,
        confidence=row.confidence,
        base_answer=was.answer if was else None,
        base_verdict=was.verdict if was else None,
        known=row.known,
    )
