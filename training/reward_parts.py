"""Which part of a run's reward moved what: each part's course, and its share of what the sum did.

A part's contribution to a completion's reward is its weight times its value, 0 where it does not apply. Contributions add
up to the reward, and so do their covariances with it:  Var(R) = Σᵢ Cov(Cᵢ, R). Part i explains Cov(Cᵢ, R) / Var(R) of the
differences between the answers of one step, which is what a method can learn from. Of the reward's change between the
first and the last fifth of the steps it made up (its own change) / (the reward's change), where the change is larger than
chance: than twice its standard error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Any

from training.completions import Completions, Line

BINS = 60
SAMPLES = 10
FIFTH = 5
STANDARD_ERRORS = 2.0
NONE = 1e-12  # rewards that differ by less do not differ
PRINCIPLES = "_principles"  # the end of a detail's name: a part's principles, each with its value


@dataclass(frozen=True)
class Part:
    """One part over a run. `first` and `last` are its mean values in the first and the last fifth of the steps.

    `variance` and `movement` are shares of the reward's; None where that has none to speak of.
    """

    name: str
    kind: str
    weight: float
    applied: float
    mean: float | None
    first: float | None
    last: float | None
    variance: float | None
    movement: float | None


@dataclass(frozen=True)
class Point:
    """Means over the completions of some neighbouring steps, up to `step`. `paid` holds each part's weight times its value."""

    step: int
    completions: int
    paid: dict[str, float | None]
    values: dict[str, float | None]
    reward: float | None


@dataclass(frozen=True)
class Sample:
    """One completion with what it was paid for."""

    step: int
    prompt: str
    completion: str
    parts: dict[str, float | None]
    reward: float | None
    about: dict[str, str]
    held_out: bool


@dataclass(frozen=True)
class RewardReport:
    """What completions.jsonl says of a run's reward; `is_whole`: all of it was read."""

    parts: list[Part]
    principles: list[Part]
    points: list[Point]
    samples: list[Sample]
    completions: int
    steps: int
    change: float | None
    is_chance: bool
    is_whole: bool
    size: int


@dataclass(frozen=True)
class _Run:
    """The trained-on completions by step, those of the first and of the last fifth of the steps, and the parts' weights."""

    weights: dict[str, float]
    by_step: dict[int, list[Line]]
    first: list[Line]
    last: list[Line]

    @property
    def lines(self) -> list[Line]:
        return [line for lines in self.by_step.values() for line in lines]


def report(found: Completions, reward: Mapping[str, Any] | None, *, step: int | None = None) -> RewardReport:
    """The report on the completions of a run whose spec has this `reward`; `step`: with all samples of that step."""
    trained = [line for line in found.lines if not line.get("held_out")]
    weights, by_step = _weights(reward, trained), _by_step(trained)
    run = _Run(weights, by_step, *_ends(by_step))
    change, is_chance = change_between([_paid(line, weights) for line in run.first], [_paid(line, weights) for line in run.last])
    kinds = {name: kind for name, kind, _ in _named(reward)}
    return RewardReport(
        parts=[_part(name, kinds.get(name, ""), run, None if is_chance else change) for name in weights],
        principles=_principles(run),
        points=_points(run),
        samples=_samples(run, found.lines, step),
        completions=len(trained),
        steps=len(by_step),
        change=change,
        is_chance=is_chance,
        is_whole=found.is_whole,
        size=found.size,
    )


def _named(reward: Mapping[str, Any] | None) -> list[tuple[str, str, float]]:
    parts = (reward or {}).get("parts") or []
    return [(one.get("name") or one["kind"], one["kind"], float(one.get("weight", 1.0))) for one in parts]


def _weights(reward: Mapping[str, Any] | None, lines: Iterable[Line]) -> dict[str, float]:
    """The parts by the recipe, and after them any other that was logged, as an older version of the run may have had."""
    weights = {name: weight for name, _, weight in _named(reward)}
    for line in lines:
        for name in line["parts"]:
            weights.setdefault(name, 1.0)
    return weights


def _by_step(lines: Iterable[Line]) -> dict[int, list[Line]]:
    grouped: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line["step"]].append(line)
    return dict(sorted(grouped.items()))


def _ends(by_step: Mapping[int, list[Line]]) -> tuple[list[Line], list[Line]]:
    """The completions of the first and of the last fifth of the steps; none of both where there is one step only."""
    steps = list(by_step)
    if len(steps) < 2:
        return [], []
    number = max(1, len(steps) // FIFTH)
    return [line for step in steps[:number] for line in by_step[step]], [
        line for step in steps[-number:] for line in by_step[step]
    ]


def _value(line: Line, name: str) -> float | None:
    value = line["parts"].get(name)
    return float(value) if isinstance(value, int | float) else None


def _contribution(line: Line, name: str, weights: Mapping[str, float]) -> float:
    return weights[name] * (_value(line, name) or 0.0)


def _paid(line: Line, weights: Mapping[str, float]) -> float:
    return fsum(_contribution(line, name, weights) for name in weights)


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _known(lines: Iterable[Line], name: str) -> list[float]:
    return [value for line in lines if (value := _value(line, name)) is not None]


def change_between(first: Sequence[float], last: Sequence[float]) -> tuple[float | None, bool]:
    """How far the mean went, and whether that is no more than chance: than twice its standard error."""
    before, after = _mean(first), _mean(last)
    if before is None or after is None:
        return None, True
    error = sqrt(_variance(first) / len(first) + _variance(last) / len(last))
    return after - before, abs(after - before) <= max(STANDARD_ERRORS * error, NONE)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values) or 0.0
    return fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)


def _part(name: str, kind: str, run: _Run, change: float | None) -> Part:
    lines, weights = run.lines, run.weights
    known = _known(lines, name)
    own, _ = change_between(*([_contribution(line, name, weights) for line in some] for some in (run.first, run.last)))
    return Part(
        name=name,
        kind=kind,
        weight=weights[name],
        applied=len(known) / len(lines) if lines else 0.0,
        mean=_mean(known),
        first=_mean(_known(run.first, name)),
        last=_mean(_known(run.last, name)),
        variance=_variance_share(name, run),
        movement=own / change if change and own is not None else None,
    )


def _variance_share(name: str, run: _Run) -> float | None:
    """Cov(Cᵢ, R) / Var(R) around each step's means."""
    covariance = variance = 0.0
    for lines in run.by_step.values():
        own = [_contribution(line, name, run.weights) for line in lines]
        paid = [_paid(line, run.weights) for line in lines]
        mean_own, mean_paid = fsum(own) / len(own), fsum(paid) / len(paid)
        covariance += fsum((a - mean_own) * (b - mean_paid) for a, b in zip(own, paid, strict=True))
        variance += fsum((b - mean_paid) ** 2 for b in paid)
    return covariance / variance if variance > NONE else None


def _principles(run: _Run) -> list[Part]:
    """A constitution's principles, whose values stand beside the part's own."""
    found = dict.fromkeys(
        (detail, name)
        for line in run.lines
        for detail, values in line.items()
        if detail.endswith(PRINCIPLES) and isinstance(values, dict)
        for name in values
    )
    return [_principle(detail, name, run) for detail, name in found]


def _principle(detail: str, name: str, run: _Run) -> Part:
    def kept(lines: Sequence[Line]) -> list[float]:
        return [value for line in lines if (value := (line.get(detail) or {}).get(name)) is not None]

    known = kept(run.lines)
    return Part(
        name=f"{detail.removesuffix(PRINCIPLES)}/{name}",
        kind="principle",
        weight=1.0,
        applied=len(known) / len(run.lines),
        mean=_mean(known),
        first=_mean(kept(run.first)),
        last=_mean(kept(run.last)),
        variance=None,
        movement=None,
    )


def _points(run: _Run) -> list[Point]:
    steps = list(run.by_step)
    size = -(-len(steps) // BINS) or 1
    return [_point(steps[i : i + size], run) for i in range(0, len(steps), size)]


def _point(steps: Sequence[int], run: _Run) -> Point:
    lines = [line for step in steps for line in run.by_step[step]]
    values = {name: _mean(_known(lines, name)) for name in run.weights}
    paid = {name: _mean([_contribution(line, name, run.weights) for line in lines]) for name in run.weights}
    return Point(steps[-1], len(lines), paid, values, _mean([_paid(line, run.weights) for line in lines]))


def _samples(run: _Run, lines: Sequence[Line], step: int | None) -> list[Sample]:
    """All completions of the step that is nearest to `step`; or of some steps from first to last the one of middling reward."""
    if not run.by_step:
        return [_sample(line) for line in lines[:SAMPLES]]
    if step is not None:
        nearest = min(run.by_step, key=lambda one: abs(one - step))
        return [_sample(line) for line in run.by_step[nearest]]
    steps = list(run.by_step)
    number = min(SAMPLES, len(steps))
    shown = [steps[round(i * (len(steps) - 1) / max(1, number - 1))] for i in range(number)]
    return [_sample(_middling(run.by_step[one], run.weights)) for one in shown]


def _middling(lines: Sequence[Line], weights: Mapping[str, float]) -> Line:
    return sorted(lines, key=lambda line: _paid(line, weights))[len(lines) // 2]


def _sample(line: Line) -> Sample:
    reward = line.get("reward")
    return Sample(
        step=line["step"],
        prompt=_text(line.get("prompt")),
        completion=_text(line.get("completion")),
        parts={name: _value(line, name) for name in line["parts"]},
        reward=float(reward) if isinstance(reward, int | float) else None,
        about={name: _text(line[name]) for name in ("verdict", "gold_answer", "knowledge") if line.get(name)},
        held_out=bool(line.get("held_out")),
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(str(one.get("content") or "") if isinstance(one, dict) else str(one) for one in value)
    return "" if value is None else str(value)
