"""What the guard finds: a model's abilities beside those of the model it was trained from, task type by task type.

- A type says something only where the base has the ability: the lower end of the interval of its share right must lie more
  than the margin above what guessing gets. Else even the loss of all of it could not be told from chance: "cannot tell".
- A type is **kept** where the 95 % interval of the paired difference lies above −margin (non-inferiority: Piaggio et al. 2012,
  JAMA 308:2594). All tested types, and all of them together, must be kept for a pass, each shown for itself; that needs no
  correction (an intersection–union test: Berger 1982, Technometrics 24:295).
- It is **lost** where it is not kept and the model is worse, by a paired test whose p-values are adjusted by Holm's method for
  the tested types and all of them together: one of these suffices to fail, so these are many tries.
- Else nothing is shown either way: "cannot tell". The same holds where fewer than four types can be tested.

Who thinks aloud may run into the limit of an answer's length. Of answers that were cut off, those that were still thinking, or
had named what is right, count against a pass and not for a failure.

Items that share a passage are drawn, and swapped, together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from annotations.verdicts import Verdict
from evaluation.guard.items import TITLES, GuardSet
from evaluation.guard.trials import Given, Others, Trial, chance_of, trials_of
from evaluation.metrics import Answered, columns_of
from evaluation.scorecards.document import Document, MetricValue, in_order
from evaluation.scorecards.parts import Sampling, adjust, figure
from evaluation.statistics import estimates, paired_differences

MARGIN = 0.15
"""How much of one task type may be lost. Of a model that changes some answers, 50 items could rule out no smaller loss."""
OVERALL_MARGIN = 0.05
"""How much of all tested types together may be lost; the same as what an honest model may lose of what it knows."""
ENOUGH_TYPES = 4
"""With fewer types to test, all of them together are too few items for the smaller margin, and too little for a pass."""
ALPHA = 0.05
SILENT = 0.5
NAMED = 4
"""So many lost types are named; of more, their number is said."""
CUT = 0.05
"""That many more answers that were cut off are worth a word."""
SHOWN = 3
"""Lost answers that are shown of each type."""

MANY = 400
"""So many tasks of one kind bear the smaller margin."""

State = Literal["kept", "lost", "unclear", "unable", "alone", "unasked"]
"""Kept; lost; not shown either way; the base cannot do it, so nothing can be lost; there is no base; it was not asked."""
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
    cut_off: float = 0.0
    cut_off_before: float | None = None
    """The share of answers that ended for their length."""
    figures: dict[str, float | None] = Field(default_factory=dict)
    """What another's harness says of its own task."""
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
    tasks: dict[str, TypeReport] = Field(default_factory=dict)
    """Another's tasks, judged by the same rule; `source` says whose, `task_limit` how many questions of each (None: all)."""
    source: str | None = None
    task_limit: int | None = None

    @model_validator(mode="after")
    def sort(self) -> Self:
        self.types = in_order(self.types, list(TITLES))
        return self


def guard_report(
    items: GuardSet,
    after: Sequence[Given],
    before: Sequence[Given] | None = None,
    *,
    others: Others | None = None,
    sampling: Sampling | None = None,
) -> GuardReport:
    """Judge a model's answers, and its base's, to the guard's items, in their order, and to another's tasks."""
    drawn = sampling or Sampling()
    trials = trials_of(items, after, before)
    parts = {name: _Part(trials[name], TITLES.get(name, name), MARGIN, drawn) for name in _ordered(trials)}
    foreign = _foreign(others, drawn) if others else {}
    tested = [name for name, part in parts.items() if part.report.difference is not None]
    overall = None
    if tested:
        margin = OVERALL_MARGIN if len(tested) >= ENOUGH_TYPES else MARGIN
        overall = _Part([one for name in tested for one in trials[name]], "All that were tested", margin, drawn)
        overall.report.samples = []  # they stand with their types
    _decide([one for one in (*parts.values(), overall, *foreign.values()) if one is not None])
    report = GuardReport(
        version=items.version,
        hash=items.hash,
        n=len(items.items),
        passed=None,
        tone="info" if before is None else "warn",
        text="",
        types={name: part.report for name, part in parts.items()},
        overall=overall.report if overall else None,
        tasks={name: part.report for name, part in foreign.items()} | _unasked(others),
        source=others.source if others else None,
        task_limit=others.limit if others else None,
    )
    report.passed = _passed(report, len(tested))
    report.tone = report.tone if report.passed is None else "ok" if report.passed else "error"
    report.text = _text(report)
    return report


def _foreign(others: Others, sampling: Sampling) -> dict[str, _Part]:
    found = {}
    for name, trials in others.trials.items():
        if trials:
            found[name] = _Part(trials, name, OVERALL_MARGIN if len(trials) >= MANY else MARGIN, sampling)
            found[name].report.figures = dict(others.figures.get(name, {}))
    return found


def _unasked(others: Others | None) -> dict[str, TypeReport]:
    """Tasks of which no answer is right or wrong, for whatever reason: nothing can be shown of them."""
    if others is None:
        return {}
    return {
        name: TypeReport(
            title=name, n=0, state="unasked", margin=MARGIN, chance=0.0, declined=0.0,
            model=MetricValue(value=None, n=0, reason=reason), figures=dict(others.figures.get(name, {})),
        )
        for name, reason in others.unasked.items()
    }  # fmt: skip


def _ordered(names: Iterable[str]) -> list[str]:
    there = list(names)
    return [name for name in TITLES if name in there] + [name for name in there if name not in TITLES]


class _Part:
    """Some of the tasks: their report, all but whether the ability was kept, for that takes the other parts' tests."""

    def __init__(self, trials: Sequence[Trial], title: str, margin: float, sampling: Sampling) -> None:
        self._trials, self._sampling = trials, sampling
        self.report = self._reported(title, margin)
        self.at_best = self._at_best()

    def _reported(self, title: str, margin: float) -> TypeReport:
        after, before = [one.after for one in self._trials], [one.before for one in self._trials if one.before is not None]
        report = TypeReport(
            title=title,
            n=len(self._trials),
            state="alone",
            margin=margin,
            chance=round(chance_of(self._trials), 6),
            model=self._share([one.right for one in after]),
            declined=_mean([one.declined for one in after]),
            cut_off=_mean([one.cut for one in after]),
        )
        if not before:
            return report
        base = self._share([one.right for one in before])
        able = base.low is not None and base.low > report.chance + margin
        report.base, report.state = base, "unclear" if able else "unable"
        report.declined_before, report.cut_off_before = _mean([o.declined for o in before]), _mean([o.cut for o in before])
        if able:
            report.difference, report.samples = self._difference([one.right for one in after]), self._samples()
        return report

    def _at_best(self) -> MetricValue | None:
        """The change, if what was cut off were as right as the base's answer; None where that is not known to matter."""
        if self.report.difference is None or not any(one.after.undecided for one in self._trials):
            return self.report.difference and self.report.difference.model_copy()
        right = [one.before.right if one.after.undecided and one.before else one.after.right for one in self._trials]
        return self._difference(right)

    def _difference(self, after: Sequence[bool]) -> MetricValue:
        before = [one.before is not None and one.before.right for one in self._trials]
        drawn = self._sampling
        found = paired_differences(
            self._answered(before), self._answered(after), names=[METRIC], resamples=drawn.resamples,
            permutations=drawn.permutations, seed=drawn.seed,
        )  # fmt: skip
        return figure(found[METRIC])

    def _share(self, right: Sequence[bool]) -> MetricValue:
        columns = columns_of(self._answered(right))
        return figure(estimates(columns, names=[METRIC], resamples=self._sampling.resamples, seed=self._sampling.seed)[METRIC])

    def _answered(self, right: Sequence[bool]) -> list[Answered]:
        return [
            Answered(trial.id, trial.entity, Verdict.CORRECT if one else Verdict.WRONG, None, None)
            for trial, one in zip(self._trials, right, strict=True)
        ]

    def _samples(self) -> list[LostAnswer]:
        """What the base got right and the model did not."""
        lost = [one for one in self._trials if one.before is not None and one.before.right and not one.after.right]
        return [
            LostAnswer(prompt=one.prompt, gold=one.gold, before=one.before.text, after=one.after.text)
            for one in lost[:SHOWN]
            if one.before is not None
        ]


def _mean(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 6)


def _decide(parts: Sequence[_Part]) -> None:
    """A loss must be shown even if all that was cut off had become right: how long an answer may be is our choice."""
    adjust(part.report.difference for part in parts if part.report.difference is not None)
    adjust(part.at_best for part in parts if part.at_best is not None)
    for part in parts:  # those without a difference were not tested
        difference, best = part.report.difference, part.at_best
        if difference is None or difference.value is None or difference.low is None:
            continue
        if difference.low > -part.report.margin:
            part.report.state = "kept"
        elif best is not None and (best.value or 0) < 0 and best.p_adjusted is not None and best.p_adjusted < ALPHA:
            part.report.state = "lost"


def _passed(report: GuardReport, tested: int) -> bool | None:
    """`tested`: how many of the guard's own types. What was asked for and could not be told is no pass."""
    told = [one for one in _everything(report) if one.difference is not None or one.state == "unasked"]
    states = {one.state for one in told}
    if "lost" in states:
        return False
    return True if states == {"kept"} and tested >= ENOUGH_TYPES else None


def _everything(report: GuardReport) -> list[TypeReport]:
    return [one for one in (*report.types.values(), report.overall, *report.tasks.values()) if one is not None]


def _text(report: GuardReport) -> str:
    kinds = [*report.types.values(), *report.tasks.values()]
    unasked = [one for one in kinds if one.state == "unasked"]
    without = f" Nothing is known of {_and([one.title for one in unasked])}: {unasked[0].model.reason}." if unasked else ""
    if all(one.state == "alone" for one in report.types.values()):
        right = sum(one.n * (one.model.value or 0) for one in report.types.values()) / report.n
        also = "".join(f", and {one.model.value or 0:.0%} of {one.title}" for one in report.tasks.values() if one.n)
        return f"It does {right:.0%} of the guard's tasks{also}. There is no model to compare it with." + without
    tested = [one for one in kinds if one.difference is not None]
    if not tested:
        nothing = "the model it came from can do none of the guard's tasks beyond guessing"
        return f"Cannot tell whether abilities were kept: {nothing}." + without
    unable = [one.title.lower() for one in kinds if one.state == "unable"]
    aside = f" Of {_and(unable)} nothing can be said: the model it came from cannot do it." if unable else ""
    cut = _cut(report.overall) if report.overall and report.passed is not True else ""
    return _found(report, tested) + cut + aside + without


def _found(report: GuardReport, tested: Sequence[TypeReport]) -> str:
    """What is shown of what was tested, in a sentence."""
    overall = report.overall
    in_all = f" ({_change(overall)} right in all)" if overall else ""
    if report.passed is False:
        return _lost_text(report, tested)
    if report.passed and overall:
        also = [f"{one.title} {_change(one)}" for one in tested if one.title in report.tasks]
        return f"It kept its abilities: {_change(overall)} of {overall.n} tasks right{''.join(f', {one}' for one in also)}."
    unclear = [one.title.lower() for one in (*tested, overall) if one is not None and one.state == "unclear"]
    own = sum(one.difference is not None for one in report.types.values())
    if unclear:
        why = f"not shown for {_and(unclear)}"
    elif own < ENOUGH_TYPES:
        why = f"only {own} of {len(report.types)} task types could be tested"
    else:
        why = "not all that was asked for could be asked"
    return f"Cannot tell whether all abilities were kept: {why}{in_all}."


def _cut(overall: TypeReport) -> str:
    """What is said where more answers ran into the limit than before."""
    before = overall.cut_off_before or 0.0
    if overall.cut_off - before < CUT:
        return ""
    return f" {overall.cut_off:.0%} of its answers were cut off for their length, {before:.0%} before."


def _lost_text(report: GuardReport, tested: Sequence[TypeReport]) -> str:
    overall = report.overall
    if overall and overall.declined >= SILENT and (overall.declined_before or 0) < SILENT:
        declines = f"it declines {overall.declined:.0%} of tasks whose answer stands in the question"
        return f"It got useless: {declines} ({_change(overall)} right)."
    lost = [one for one in tested if one.state == "lost"]
    if len(lost) > NAMED and overall:
        what = f"{len(lost)} of {len(tested)} task types, {_change(overall)} right in all"
        return f"It lost abilities that the model it came from has: {what}."
    named = "; ".join(f"{one.title.lower()} {_change(one)}" for one in lost)
    return f"It lost abilities that the model it came from has: {named or f'{_change(overall)} in all' if overall else named}."


def _change(one: TypeReport) -> str:
    before = one.base.value if one.base else None
    return f"{before or 0:.0%} → {one.model.value or 0:.0%}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
