"""One round of a self-rewarding loop while it is being queued: a function for each stage, after the job of the stage before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings as site

from accounts.models import User
from annotations.models import DatasetVersion
from annotations.services.datasets import version_asked
from evaluation.models import Benchmark, Evaluation
from evaluation.self_rewarding.prompts import prompts_read, prompts_write, round_prompts, without_held_out
from evaluation.self_rewarding.settings import STAGES, LoopSettings, Stage
from evaluation.services import evaluation_queue
from jobs.models import Job, Pipeline
from jobs.services import job_queue
from training.models import Artifact
from training.services import generation_queue, run_queue

# Of a model's name, before what tells a round's apart: names may have 100 characters.
STEM = 70


@dataclass
class Loop:
    """A loop, with whom it acts for. Its rounds are told apart from 1."""

    pipeline: Pipeline
    wanted: LoopSettings
    actor: User | None

    @property
    def stem(self) -> str:
        return f"{self.wanted.model[:STEM]}-sr{self.pipeline.pk}"

    @property
    def rounds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.pipeline.payload["rounds"]
        return found

    @property
    def evaluate_settings(self) -> dict[str, Any]:
        """Of each scorecard: `evaluation.specs.EvaluateSettings`."""
        return {"max_new_tokens": self.wanted.max_new_tokens}

    def begin_round(self, model: Artifact) -> dict[str, Any]:
        """The entry of a new round that starts from a model, with its prompts on disk. Raises NoPrompts."""
        number = len(self.rounds) + 1
        found = prompts_read(self.wanted.prompts)
        rows = without_held_out(found, Path(Benchmark.objects.get(hash=self.wanted.benchmark).folder))
        self.pipeline.payload |= {"prompts": len(rows), "held_out": len(found) - len(rows)}
        drawn = round_prompts(rows, number=number, each=self.wanted.prompts_per_round, seed=self.wanted.seed)
        folder = Path(site.RLWHF_HOME) / "self-rewarding" / str(self.pipeline.pk)
        path = prompts_write(folder / f"prompts-{number}.jsonl", drawn)
        entry: dict[str, Any] = {"number": number, "model": model.name, "prompts": str(path), "jobs": {}}
        self.rounds.append(entry)
        return entry

    def model_after(self, entry: dict[str, Any]) -> Artifact:
        """The model that a round trained."""
        return Artifact.objects.get(name=entry["run"])

    def change(self, settings: dict[str, Any]) -> None:
        """Other settings from here on. Raises pydantic's ValidationError."""
        self.wanted = LoopSettings.model_validate(self.wanted.model_dump() | settings)
        self.pipeline.payload["settings"] = self.wanted.model_dump(mode="json")

    def save(self) -> None:
        self.pipeline.save(update_fields=["payload"])


def stage_queue(loop: Loop, stage: Stage, *, after: Iterable[Job] = ()) -> Job:
    """Queue a stage of the newest round, after the stage before it and after `after`.

    Raises what the services of runs, datasets and scorecards raise.
    """
    entry = loop.rounds[-1]
    at = STAGES.index(stage)
    before = [Job.objects.get(pk=entry["jobs"][STAGES[at - 1]])] if at else []
    job = _QUEUED[stage](loop, entry, [*before, *after])
    entry["jobs"][stage] = job.pk
    return job


def _generate(loop: Loop, entry: dict[str, Any], after: list[Job]) -> Job:
    wanted = loop.wanted
    return generation_queue(
        artifact=_model(entry),
        prompts=Path(entry["prompts"]),
        samples=wanted.samples,
        temperature=wanted.temperature,
        max_new_tokens=wanted.max_new_tokens,
        seed=wanted.seed + entry["number"],
        hardware_tag=wanted.hardware_tag,
        after=after,
        pipeline=loop.pipeline,
        actor=loop.actor,
    )


def _judge(loop: Loop, entry: dict[str, Any], after: list[Job]) -> Job:
    by_service = loop.wanted.judge.startswith("teacher:")
    return _own(
        loop, entry, after, stage="judge", title=f"Judge the answers of {entry['model']}",
        hardware_tag="site" if by_service else loop.wanted.hardware_tag,
    )  # fmt: skip


def _clean(loop: Loop, entry: dict[str, Any], after: list[Job]) -> Job:
    kind = loop.wanted.dataset_kind
    asked = {"min_gap": loop.wanted.min_gap, "weights_temperature": loop.wanted.weights_temperature}
    version = version_asked(
        name=free_name(f"{loop.stem}-r{entry['number']}-{kind}", DatasetVersion),
        kind=kind,
        actor=loop.actor,
        source=f"self-rewarding {loop.pipeline.pk}, round {entry['number']}",
        asked=asked,
    )
    version.job = _own(loop, entry, after, stage="clean", title=f"Build dataset {version.name}", dataset=version.pk)
    version.save(update_fields=["job"])
    entry["dataset"] = version.name
    return version.job


def _train(loop: Loop, entry: dict[str, Any], after: list[Job]) -> Job:
    wanted, number = loop.wanted, entry["number"]
    run = run_queue(
        name=free_name(f"{loop.stem}-r{number}", Artifact),
        recipe=wanted.recipe_name,
        dataset=DatasetVersion.objects.get(name=entry["dataset"]),
        base=_model(entry),
        overrides={"seed": wanted.seed + number} | wanted.overrides,
        hardware_tag=wanted.hardware_tag,
        title=f"Round {number}: {wanted.method.upper()} on what {entry['model']} answered",
        after=after,
        actor=loop.actor,
        pipeline=loop.pipeline,
    )
    entry["run"] = run.name
    return run.job


def _evaluate(loop: Loop, entry: dict[str, Any], after: list[Job]) -> Job:
    evaluation = evaluation_queue(
        artifact=Artifact.objects.get(name=entry["run"]),
        base=_model(entry),
        benchmark=Benchmark.objects.get(hash=loop.wanted.benchmark),
        settings=loop.evaluate_settings,
        hardware_tag=loop.wanted.hardware_tag,
        after=after,
        actor=loop.actor,
        pipeline=loop.pipeline,
    )
    entry["evaluation"] = evaluation.pk
    return evaluation.job


def _decide(loop: Loop, entry: dict[str, Any], after: list[Job]) -> Job:
    start = Evaluation.objects.select_related("job").get(pk=loop.pipeline.payload["start_evaluation"])
    return _own(loop, entry, [*after, start.job], stage="decide", title=f"Round {entry['number']}: is it still honest?")


def _own(
    loop: Loop,
    entry: dict[str, Any],
    after: list[Job],
    *,
    stage: Stage,
    title: str,
    hardware_tag: str = "site",
    **more: int,
) -> Job:
    return job_queue(
        kind=f"evaluation.self_reward_{stage}",
        title=title,
        payload={"pipeline": loop.pipeline.pk, "round": entry["number"], **more},
        hardware_tag=hardware_tag,
        after=after,
        pipeline=loop.pipeline,
        actor=loop.actor,
    )


_QUEUED: dict[Stage, Callable[[Loop, dict[str, Any], list[Job]], Job]] = {
    "generate": _generate,
    "judge": _judge,
    "clean": _clean,
    "train": _train,
    "evaluate": _evaluate,
    "decide": _decide,
}


def _model(entry: dict[str, Any]) -> Artifact:
    return Artifact.objects.get(name=entry["model"])


def free_name(stem: str, model: type[Artifact] | type[DatasetVersion]) -> str:
    """`stem`, or the first of `stem-2`, `stem-3`, … that nothing is named yet."""
    taken = set(model._default_manager.filter(name__startswith=stem).values_list("name", flat=True))
    return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
