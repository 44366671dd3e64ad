"""What runs were paid while they trained: the policy's reward and the reward model's part of it, over the run and over time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from dashboards.courses import reward_of
from jobs.monitoring.columns import Columns, Numbers
from jobs.monitoring.histories import stream_history
from training.models import Run
from training.reward_parts import RewardReport, change_between

FIFTH = 5
# A course is drawn by so many means of neighbouring steps: single steps are mostly noise.
STRETCHES = 24
REWARD = "reward"
REWARD_MODEL = "reward_model"


@dataclass(frozen=True)
class Reward:
    """A reward over a run: its means in the first and the last fifth of the steps; None where it was not logged.

    `is_chance`: what lies between the two is no more than twice its standard error.
    """

    first: float | None = None
    last: float | None = None
    is_chance: bool = True

    @property
    def change(self) -> float | None:
        return None if self.first is None or self.last is None else self.last - self.first

    @property
    def rose(self) -> bool:
        return not self.is_chance and (self.change or 0) > 0


@dataclass(frozen=True)
class Payment:
    """The mean of some neighbouring steps, at the time of their middle."""

    at: datetime
    mean: float


@dataclass(frozen=True)
class Paid:
    """A run's two rewards, each with its course over time."""

    policy: Reward
    policy_course: Sequence[Payment]
    reward_model: Reward
    reward_model_course: Sequence[Payment]

    @property
    def rewards(self) -> tuple[Reward, Reward]:
        return self.policy, self.reward_model


def paid_by(run: Run) -> Paid:
    """The policy's reward as its trainer logged it; of the reward model's parts the first."""
    columns, report = stream_history(run.job, "metrics").columns, reward_of(run)
    policy = _over(columns.known(REWARD)) if REWARD in columns.names else Reward()
    if report is not None and report.change is not None:
        # Single completions tell chance from change better than a few steps' means do.
        policy = replace(policy, is_chance=report.is_chance)
    model, model_course = _reward_model(report, columns)
    return Paid(policy, _course(*columns.points("time", REWARD)), model, model_course)


def _over(values: Numbers) -> Reward:
    number = max(1, len(values) // FIFTH)
    first, last = values[:number].tolist(), values[-number:].tolist()
    _, is_chance = change_between(first, last)
    # Of two single steps nothing says how far steps differ by chance.
    return Reward(float(np.mean(first)), float(np.mean(last)), is_chance or number < 2)


def _reward_model(report: RewardReport | None, columns: Columns) -> tuple[Reward, Sequence[Payment]]:
    part = next((one for one in report.parts if one.kind == REWARD_MODEL), None) if report else None
    if report is None or part is None:
        return Reward(), ()
    told = [(one.step, value) for one in report.points if (value := one.values.get(part.name)) is not None]
    if not told:
        return Reward(part.first, part.last), ()
    means = np.array([value for _, value in told])
    steps, times = columns.points("step", "time")
    course = _course(np.interp([step for step, _ in told], steps, times), means) if len(steps) else ()
    return Reward(part.first, part.last, _over(means).is_chance), course


def _course(times: Numbers, values: Numbers) -> Sequence[Payment]:
    if not len(values):
        return ()
    pieces = min(STRETCHES, len(values))
    # As numpy.array_split has it: the first ones are one step longer where steps do not divide evenly.
    ends = np.arange(1, pieces + 1) * (len(values) // pieces) + np.minimum(np.arange(1, pieces + 1), len(values) % pieces)
    starts = np.concatenate(([0], ends[:-1]))
    middles, means = (np.add.reduceat(one, starts) / (ends - starts) for one in (times, values))
    told = zip(middles.tolist(), means.tolist(), strict=True)
    return tuple(Payment(datetime.fromtimestamp(at, UTC), mean) for at, mean in told)
