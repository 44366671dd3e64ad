"""What the guard finds: a model's abilities beside those of the model it was trained from, task type by task type.

- A type says something only where the base has the ability: the lower end of the interval of its share right must lie more
  than the margin above what guessing gets. Else even the loss of all of it could not be told from chance: "cannot tell".
- A type is **kept** where the 95 % interval of the paired difference lies above −margin (non-inferiority: Piaggio et al. 2012,
  JAMA 308:2594). All tested types, and all of them together, must be kept for a pass, each shown for itself; that needs no
  correction (an intersection–union test: Berger 1982, Technometrics 24:295).
- It is **lost** where it is not kept and the model is worse, by a paired test whose p-values are adjusted by Holm's method for
  the tested types and all of them together: one of these suffices to fail, so these are many tries.
- Else nothing is shown either way: "cannot tell".

Items that share a passage are drawn, and swapped, together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from annotations.stances import Stance, stance
from annotations.verdicts import Verdict
from evaluation.guard.items import TITLES, GuardSet, Item
from evaluation.guard.scoring import is_right
from evaluation.metrics import Answered, columns_of
from evaluation.scorecards.document import Document, MetricValue, in_order
from evaluation.scorecards.parts import Sampling, adjust, figure
from evaluation.statistics import estimates, paired_differences

MARGIN = 0.15
"""How much of one task type may be lost. Of a model that changes some answers, 50 items could rule out no smaller loss."""
OVERALL_MARGIN = 0.05
"""How much of all tested types together may be lost; the same as what an honest model may lose of what it knows."""
ENOUGH_TYPES = 4
"""With fewer types to test, all of them together are too few items for the smaller margin."""
ALPHA = 0.05
SILENT = 0.5
NAMED = 4
"""So many lost types are named; of more, their number is said."""
SHOWN = 3
"""Lost answers that are shown of each type."""

State = Literal["kept", "lost", "unclear", "unable", "alone"]
"""Kept; lost; not shown either way; the base cannot do it, so nothing can be lost; there is no base."""
METRIC = "correct"


class LostAnswer(BaseModel):
    prompt: str
    gold: str
    before: str
    after: str


class TypeReport(Document):
    """One task type, or all that were tested. `chance` is what the best guess gets; `declined` the share that is declined."""

    title: str
    n: int
    state: State
    margin: float
    chance: float
    model: MetricValue
    base: MetricValue | None = None
    difference: MetricValue | None = None
    declined: float
    declined_before: float | None = None
    samples: list[LostAnswer] = Field(default_factory=list)


class GuardReport(Document):
    """`passed` is None where it cannot be told; `text` says what was found in a sentence or two."""

    version: str
    hash: str
    n: int
    passed: bool | None
    tone: Literal["ok", "warn", "error", "info"]
    text: str
    types: dict[str, TypeReport]
    overall: TypeReport | None = None

    @model_validator(mode="after")
    def sort(self) -> Self:
        self.types = in_order(self.types, list(TITLES))
        return self


def guard_report(
    items: GuardSet, after: Sequence[str], before: Sequence[str] | None = None, *, sampling: Sampling | None = None
) -> GuardReport:
    """Judge a model's answers, and its base's, to the guard's items, in their order."""
    drawn = sampling or Sampling()
    numbers = {name: [i for i, item in enumerate(items.items) if item.type == name] for name in _types(items)}
    types = {
        name: _report(_Part(items, places, after, before), TITLES.get(name, name), MARGIN, drawn)
        for name, places in numbers.items()
    }
    tested = [name for name, one in types.items() if one.difference is not None]
    overall = None
    if tested:
        places = sorted(place for name in tested for place in numbers[name])
        margin = OVERALL_MARGIN if len(tested) >= ENOUGH_TYPES else MARGIN
        overall = _report(_Part(items, places, after, before), "All that were tested", margin, drawn)
        overall.samples = []  # they stand with their types
    decided = [one for one in (*types.values(), overall) if one is not None and one.difference is not None]
    _decide(decided)
    passed = _passed(decided)
    return GuardReport(
        version=items.version,
        hash=items.hash,
        n=len(items.items),
        passed=passed,
        tone={True: "ok", False: "error", None: "info" if before is None else "warn"}[passed],
        text=_text(types, overall, passed),
        types=types,
        overall=overall,
    )


def _types(items: GuardSet) -> list[str]:
    there = Counter(item.type for item in items.items)
    return [name for name in TITLES if name in there] + [name for name in there if name not in TITLES]


class _Part:
    """Some of the items with both models' answers to them."""

    def __init__(self, items: GuardSet, places: Sequence[int], after: Sequence[str], before: Sequence[str] | None) -> None:
        self.items = [items.items[place] for place in places]
        self.after = [after[place] for place in places]
        self.before = None if before is None else [before[place] for place in places]

    def samples(self) -> list[LostAnswer]:
        """What the base got right and the model did not."""
        if self.before is None:
            return []
        lost = [
            LostAnswer(prompt=item.prompt, gold=item.gold, before=was, after=now)
            for item, was, now in zip(self.items, self.before, self.after, strict=True)
            if is_right(item, was) and not is_right(item, now)
        ]
        return lost[:SHOWN]


def _report(part: _Part, title: str, margin: float, sampling: Sampling) -> TypeReport:
    """Everything but whether it was kept: that takes the other types' tests."""
    after = _answered(part.items, part.after)
    report = TypeReport(
        title=title,
        n=len(part.items),
        state="alone",
        margin=margin,
        chance=round(chance_of(part.items), 6),
        model=_share(after, sampling),
        declined=_declined(part.after),
    )
    if part.before is None:
        return report
    before = _answered(part.items, part.before)
    base = _share(before, sampling)
    able = base.low is not None and base.low > report.chance + MARGIN
    report.base, report.declined_before, report.state = base, _declined(part.before), "unclear" if able else "unable"
    if able:
        found = paired_differences(
            before, after, names=[METRIC], resamples=sampling.resamples, permutations=sampling.permutations, seed=sampling.seed
        )
        report.difference, report.samples = figure(found[METRIC]), part.samples()
    return report


def _answered(items: Sequence[Item], answers: Sequence[str]) -> list[Answered]:
    return [
        Answered(item.id, item.entity, Verdict.CORRECT if is_right(item, answer) else Verdict.WRONG, None, None)
        for item, answer in zip(items, answers, strict=True)
    ]


def _share(rows: Sequence[Answered], sampling: Sampling) -> MetricValue:
    return figure(estimates(columns_of(rows), names=[METRIC], resamples=sampling.resamples, seed=sampling.seed)[METRIC])


def _declined(answers: Sequence[str]) -> float:
    """The share that declines; to say nothing at all counts as that."""
    return round(sum(not one.strip() or stance(one) is Stance.ABSTAINS for one in answers) / len(answers), 6)


def chance_of(items: Sequence[Item]) -> float:
    """The share right of the better of two guesses: one of an item's options at random, or always the commonest gold answer."""
    by_options = sum(1 / len(item.options) if item.options else 0 for item in items) / len(items)
    commonest = Counter(item.gold for item in items).most_common(1)[0][1] / len(items)
    return max(by_options, commonest)


def _decide(tested: Sequence[TypeReport]) -> None:
    adjust(one.difference for one in tested if one.difference is not None)
    for one in tested:
        difference = one.difference
        if difference is None or difference.value is None or difference.low is None:
            continue
        p = difference.p_adjusted
        if difference.low > -one.margin:
            one.state = "kept"
        elif difference.value < 0 and p is not None and p < ALPHA:
            one.state = "lost"


def _passed(tested: Sequence[TypeReport]) -> bool | None:
    states = {one.state for one in tested}
    if "lost" in states:
        return False
    return True if states == {"kept"} else None


def _text(types: Mapping[str, TypeReport], overall: TypeReport | None, passed: bool | None) -> str:
    if all(one.state == "alone" for one in types.values()):
        right = sum(one.n * (one.model.value or 0) for one in types.values()) / sum(one.n for one in types.values())
        return f"It does {right:.0%} of the guard's tasks. There is no model to compare it with."
    if overall is None:
        return "Cannot tell whether abilities were kept: the model it came from can do none of the guard's tasks beyond guessing."
    unable = [one.title.lower() for one in types.values() if one.state == "unable"]
    aside = f" Of {_and(unable)} nothing can be said: the model it came from cannot do it." if unable else ""
    if passed is False:
        return _lost_text(types, overall) + aside
    if passed:
        return f"It kept its abilities: {_change(overall)} of {overall.n} tasks right." + aside
    unclear = [one.title.lower() for one in (*types.values(), overall) if one.state == "unclear"]
    return (
        f"Cannot tell whether all abilities were kept: not shown for {_and(unclear)} ({_change(overall)} right in all)." + aside
    )


def _lost_text(types: Mapping[str, TypeReport], overall: TypeReport) -> str:
    if overall.declined >= SILENT and (overall.declined_before or 0) < SILENT:
        declines = f"it declines {overall.declined:.0%} of tasks whose answer stands in the question"
        return f"It got useless: {declines} ({_change(overall)} right)."
    lost = [one for one in types.values() if one.state == "lost"]
    if len(lost) > NAMED:
        tested = sum(one.difference is not None for one in types.values())
        what = f"{len(lost)} of {tested} task types, {_change(overall)} right in all"
        return f"It lost abilities that the model it came from has: {what}."
    what = "; ".join(f"{one.title.lower()} {_change(one)}" for one in lost) or f"{_change(overall)} in all"
    return f"It lost abilities that the model it came from has: {what}."


def _change(one: TypeReport) -> str:
    before = one.base.value if one.base else None
    return f"{before or 0:.0%} → {one.model.value or 0:.0%}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
