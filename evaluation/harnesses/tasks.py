"""Tasks of lm-eval's own, as more of the capability guard: asked of a model and of its base, question by question.

They need no harness for the benchmark, and stand in for no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from evaluation.guard.trials import Others, Outcome, Trial, is_declined
from evaluation.harnesses.model import HarnessModel, Served
from evaluation.harnesses.request import REPORT, SAMPLES, Report, TaskSample
from evaluation.harnesses.table import HARNESSES, HarnessName
from training.stopping import StopRequest

TASKS_OF: Final[HarnessName] = "lm-eval"
TASK_TOKENS: Final = 256
"""How long an answer to a task may be that does not say so itself."""


@dataclass(frozen=True)
class TaskAnswers:
    """What lm-eval makes of one model's answers: its figures by task and metric, and each question's result."""

    version: str
    figures: Mapping[str, Mapping[str, float | None]]
    samples: Mapping[str, Mapping[str, TaskSample]]
    """By task, then by question."""


class TaskModel(HarnessModel):
    """A model whom lm-eval asks tasks of its own."""

    def tasks_answered(self, names: Sequence[str], *, limit: int | None, stop: StopRequest) -> TaskAnswers:
        """Have the tasks asked; once, and kept in the folder. Raises Stopped or a TrainingError."""
        place = self.folder / "tasks"
        if not (place / REPORT).is_file():
            self._run(place, self._request([], TASK_TOKENS, tasks=list(names), limit=limit), stop, lambda: None)
        report = Report.model_validate_json((place / REPORT).read_bytes())
        samples: dict[str, dict[str, TaskSample]] = {}
        for one in _samples(place / SAMPLES):
            samples.setdefault(one.task, {})[one.id] = one
        return TaskAnswers(report.version, report.tasks, samples)


class TaskLoader(HarnessModel):
    """The same before anybody is asked: whether the tasks are known, and their data here."""

    def tasks_load(self, names: Sequence[str], *, stop: StopRequest) -> None:
        """Raises HarnessFailed where something is missing."""
        place = self.folder / "tasks-there"
        if not (place / REPORT).is_file():
            self._run(place, self._request([], TASK_TOKENS, tasks=list(names), load_only=True), stop, lambda: None)

    @contextmanager
    def _served(self, place: Path) -> Iterator[Served]:
        """Nobody: only whether tokens could be read counts, which a service's cannot."""
        yield Served("", "", "", 1, 1.0, place if self.service is None else None)


def others_between(names: Sequence[str], after: TaskAnswers, before: TaskAnswers | None = None, *, limit: int | None) -> Others:
    """The tasks as the guard compares them: each question with what became of it; with a base, those that both have answered.
    Of tasks whose answers are neither right nor wrong, and of groups that are told apart, the figures alone.
    """
    trials = {task: list(_trials(task, after, before)) for task in after.samples}
    shown = {**dict.fromkeys(names), **dict.fromkeys(trials)}
    reason = "its answers are neither right nor wrong, so no loss can be shown"
    unasked = {name: reason for name in shown if name in after.figures and not trials.get(name)}
    if set(after.figures) <= set(names):  # else one of the names may stand for several tasks
        unasked |= {name: f"{TASKS_OF} says nothing of it" for name in names if name not in after.figures}
    return Others(
        source=f"{HARNESSES[TASKS_OF].title} {after.version}",
        trials=trials,
        figures={name: after.figures[name] for name in shown if name in after.figures},
        limit=limit,
        unasked=unasked,
    )


def others_unasked(names: Sequence[str], reason: str, *, limit: int | None) -> Others:
    """The tasks, of which nothing is known for that reason."""
    source = f"{HARNESSES[TASKS_OF].title} {HARNESSES[TASKS_OF].version}"
    return Others(source, limit=limit, unasked=dict.fromkeys(names, reason.rstrip(".")))


def _trials(task: str, after: TaskAnswers, before: TaskAnswers | None) -> Iterator[Trial]:
    base = before.samples.get(task, {}) if before is not None else {}
    for name, now in after.samples[task].items():
        was = base.get(name)
        if before is None or was is not None:
            yield Trial(
                name, name, now.prompt, now.gold, now.options,
                after=_outcome(now), before=None if was is None else _outcome(was),
            )  # fmt: skip


def _outcome(one: TaskSample) -> Outcome:
    """A choice by likelihood cannot decline."""
    return Outcome(one.answer, right=one.right, declined=one.options == 0 and is_declined(one.answer))


def _samples(path: Path) -> list[TaskSample]:
    if not path.is_file():
        return []
    return [TaskSample.model_validate(orjson.loads(line)) for line in path.read_bytes().splitlines()]
