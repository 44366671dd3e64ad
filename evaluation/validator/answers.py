"""Answers as the validator reads them, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, cast, get_args

from annotations.stances import Stance, stance
from annotations.verdicts import Verdict, normalise
from evaluation.answers import AnswerRow
from evaluation.metrics import CORRECT, WRONG
from evaluation.question import JudgeName


@dataclass(frozen=True)
class Said:
    """One answer; what is not known of it is None or empty. `gold` holds wordings of one right answer; `before` is what the model
    it is compared with said to the same prompt. `judge`: how its question has it judged.
    """

    id: str
    entity: str
    prompt: str
    answer: str
    verdict: Verdict | None = None
    known: bool | None = None
    gold: tuple[str, ...] = ()
    before: Said | None = None
    judge: JudgeName = "gold"

    @cached_property
    def words(self) -> list[str]:
        return normalise(self.answer).split()

    @cached_property
    def stance(self) -> Stance:
        return stance(self.answer)

    @property
    def abstains(self) -> bool:
        return self.verdict is Verdict.ABSTAINED if self.verdict is not None else self.stance is Stance.ABSTAINS

    @property
    def hedges(self) -> bool:
        if self.verdict is not None:
            return self.verdict in (Verdict.HEDGED_CORRECT, Verdict.HEDGED_WRONG)
        return self.stance is Stance.HEDGES

    @property
    def right(self) -> bool:
        return self.verdict in CORRECT

    @property
    def is_choice(self) -> bool:
        """It was to choose from what the prompt lists."""
        return self.judge == "choice"

    @property
    def attempted(self) -> bool:
        return self.verdict in CORRECT | WRONG if self.verdict is not None else bool(self.words) and not self.abstains


def said_of(rows: Iterable[AnswerRow], base_rows: Iterable[AnswerRow] = ()) -> list[Said]:
    """Judged answers, beside those of the base model to the same questions."""
    before = {row.id: _said(row) for row in base_rows}
    return [_said(row, before.get(row.id)) for row in rows]


def _said(row: AnswerRow, before: Said | None = None) -> Said:
    gold = tuple(row.gold_answer.split(" | ")) if row.gold_answer else ()
    return Said(row.id, row.entity, row.prompt, row.answer, row.verdict, row.known, gold, before, row.judge)


def said_of_records(records: Sequence[Mapping[str, Any]], base_records: Sequence[Mapping[str, Any]] = ()) -> list[Said]:
    """Rows of answers in general: `prompt` and `answer`, and where there are such `id`, `entity`, `verdict`, `known` (or
    `knowledge`), `gold_answer`, `judge` or `choices`, `base_answer` and `base_verdict`. The other model's answers may be rows of
    their own, by the same ids. Raises ValueError for a row without an answer, or for two of one id where ids count.
    """
    found = [_of_record(number, record) for number, record in enumerate(records, start=1)]
    if not base_records:
        return found
    before = {str(record.get("id")): record for record in base_records}
    if "None" in before or len(before) < len(base_records):
        raise ValueError("the base model's rows need an “id” each, by which they are found")
    for number, record in enumerate(base_records, start=1):
        _of_record(number, record)
    return [
        replace(one, before=_beside(one, before[one.id])) if one.before is None and one.id in before else one for one in found
    ]


def _beside(one: Said, record: Mapping[str, Any]) -> Said:
    """What the other model said, measured by the same ruler as this one."""
    return replace(one, answer=str(record["answer"]), verdict=_verdict(record, "verdict"), before=None)


def _of_record(number: int, record: Mapping[str, Any]) -> Said:
    prompt, answer = record.get("prompt"), record.get("answer")
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise ValueError(f"line {number}: needs “prompt” and “answer”, both texts")
    name = str(record.get("id") or number)
    golds = record.get("gold_answer") or ()
    known = record.get("known")
    if record.get("knowledge") in ("known", "unknown"):
        known = record["knowledge"] == "known"
    # Nothing but the answers differs: else the base would be measured by another ruler.
    question = partial(
        Said,
        id=name,
        entity=str(record.get("entity") or name),
        prompt=prompt,
        known=known if isinstance(known, bool) else None,
        gold=(golds,) if isinstance(golds, str) else tuple(map(str, golds)),
        judge="choice" if record.get("choices") else _judge(record),
    )
    base = record.get("base_answer")
    before = question(answer=base, verdict=_verdict(record, "base_verdict")) if isinstance(base, str) else None
    return question(answer=answer, verdict=_verdict(record, "verdict"), before=before)


def _judge(record: Mapping[str, Any]) -> JudgeName:
    named = record.get("judge") or "gold"
    if named not in get_args(JudgeName):
        raise ValueError(f"“{named}” is no judge; there are {', '.join(get_args(JudgeName))}")
    return cast("JudgeName", named)


def _verdict(record: Mapping[str, Any], name: str) -> Verdict | None:
    return Verdict(record[name]) if record.get(name) else None
