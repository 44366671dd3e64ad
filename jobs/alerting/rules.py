"""When a person should look: rules over what a job writes. Knows numbers only: no Django, no files."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any

import numpy as np
import orjson

DIVERGED, REWARD_COLLAPSE, NO_PROGRESS, DISK_LOW, WORKER_GONE, COUNTS_DIFFER, CHAMPION_ROLLED_BACK, CHAMPION_REVOKED = (
    "diverged",
    "reward-collapse",
    "no-progress",
    "disk-low",
    "worker-gone",
    "counts-differ",
    "champion-rolled-back",
    "champion-on-revoked-scores",
)


@dataclass(frozen=True)
class Rule:
    """`level` is "error" where something is lost if nobody looks, "warning" else."""

    title: str
    level: str
    about: str


RULES: dict[str, Rule] = {
    DIVERGED: Rule("Diverged", "error", "a loss or a gradient is not a finite number any more"),
    REWARD_COLLAPSE: Rule("Reward collapse", "error", "the reward fell far below where it was, or tells answers apart no more"),
    NO_PROGRESS: Rule("No progress", "warning", "a running job has not moved for long"),
    DISK_LOW: Rule("Disk nearly full", "error", "a machine has little room left where runs write"),
    WORKER_GONE: Rule("Worker gone", "error", "a worker has not been heard of, and did not say that it ends"),
    CHAMPION_ROLLED_BACK: Rule("Champion taken back", "warning", "a promoted model is no longer champion of its project"),
    CHAMPION_REVOKED: Rule("Champion on revoked scores", "warning", "a champion was made with scores that are revoked now"),
    COUNTS_DIFFER: Rule("Counts differ", "warning", "counts that pages show are not what a full recount comes to"),
}

# What must be finite, under the names that trainers log.
MUST_BE_FINITE = ("loss", "grad_norm", "eval_loss")


@dataclass(frozen=True)
class Finding:
    """What a rule found: in words, with a hint, and its figures."""

    rule: str
    message: str
    hint: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def logged_rows(data: bytes) -> list[dict[str, Any]]:
    """The rows in some lines; NaN and infinity as Python and JavaScript write them, which is no JSON, are read too."""
    rows = []
    for line in data.splitlines():
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            try:
                row = json.loads(line)
            except ValueError:
                continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def diverged(rows: Iterable[Mapping[str, Any]]) -> Finding | None:
    """The first row in which what must be finite is not; where it could not be written as a number it is null."""
    for row in rows:
        for name in MUST_BE_FINITE:
            value = row.get(name, 0.0)
            if value is None or (isinstance(value, float) and not isfinite(value)):
                return divergence(f"At step {row.get('step', '?')} the {name.replace('_', ' ')} is not a finite number.")
    return None


def divergence(message: str) -> Finding:
    return Finding(DIVERGED, message, "Lower the learning rate, or lengthen the warm-up; then look at the data for odd rows.")


class RewardWatch:
    """Follows the mean reward that a run logs, and says when it has collapsed.

    It has, where the mean of the last `WINDOW` logged values lies below the best window before it by more than six standard
    errors of such a difference, and by half of what had been won since the first window (or an eighth of the best, if that is
    more). Six, for the best of many windows is itself the luckiest of them. It has too, where in a whole window no group of
    answers differed in reward: then there is nothing to learn from.
    """

    WINDOW = 20
    ERRORS = 6.0

    def __init__(self) -> None:
        self._rewards: list[float] = []
        self._steps: list[Any] = []
        self._same: list[bool] = []

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            reward = row.get("reward")
            if not isinstance(reward, int | float) or not isfinite(reward):
                continue
            self._rewards.append(float(reward))
            self._steps.append(row.get("step"))
            self._same.append(_tells_nothing_apart(row))

    def finding(self) -> Finding | None:
        """What is wrong as of the last row; None where nothing is, or too little is known."""
        return self._flat() or self._fallen()

    def _flat(self) -> Finding | None:
        if len(self._same) < self.WINDOW or not all(self._same[-self.WINDOW :]):
            return None
        message = (
            f"For {self.WINDOW} logged steps, up to step {self._steps[-1]}, every answer to a prompt has earned what the others "
            "did: there is nothing to learn from."
        )
        hint = "Look at the run's answers: they may all be alike, or the reward may not tell them apart. Raise the temperature."
        return Finding(REWARD_COLLAPSE, message, hint, {"step": self._steps[-1]})

    def _fallen(self) -> Finding | None:
        window = self.WINDOW
        if len(self._rewards) < 2 * window:
            return None
        values = np.array(self._rewards)
        sums = np.concatenate([[0.0], values.cumsum()])
        means = (sums[window:] - sums[:-window]) / window
        first, now, before = means[0], means[-1], means[:-window]
        place = int(before.argmax())
        best = before[place]
        spread = max(values[place : place + window].std(ddof=1), values[-window:].std(ddof=1))
        fall = best - now
        if fall <= self.ERRORS * spread * sqrt(2 / window) or fall <= max((best - first) / 2, abs(best) / 8):
            return None
        at = self._steps[place + window - 1]
        message = f"The reward has fallen from {best:.3g} around step {at} to {now:.3g} (means of {window} logged steps)."
        hint = (
            "Stop it; clone it with a lower learning rate or a stronger hold to the reference, from a checkpoint before the fall."
        )
        return Finding(REWARD_COLLAPSE, message, hint, {"best": float(best), "best_step": at, "now": float(now)})


def _tells_nothing_apart(row: Mapping[str, Any]) -> bool:
    """Whether no group of the step had answers of different reward; a method that logs nothing about it is not judged."""
    share = row.get("frac_reward_zero_std")
    if isinstance(share, int | float):
        return share >= 1.0
    spread = row.get("reward_std")
    return isinstance(spread, int | float) and spread == 0.0


@dataclass
class ProgressWatch:
    """Says when a job has not moved for long: `longest_s` seconds, or twenty of its own steps where those are longer."""

    longest_s: float
    _mark: object = None
    _since: float | None = None

    STEPS = 20

    def finding(self, mark: object, now: float, *, step_s: float | None = None) -> Finding | None:
        """`mark` is anything that changes as the job moves; `now` and `longest_s` are in seconds."""
        if self._since is None or mark != self._mark:
            self._mark, self._since = mark, now
            return None
        stood = now - self._since
        if stood < max(self.longest_s, self.STEPS * (step_s or 0.0)):
            return None
        message = f"It has not moved for {stood / 60:.0f} minutes: no step, no metrics."
        hint = (
            "Look at its log and at what it uses. If it hangs, stop it and queue it again: it resumes from its last checkpoint."
        )
        return Finding(NO_PROGRESS, message, hint, {"seconds": round(stood)})
