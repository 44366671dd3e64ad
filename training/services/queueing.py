"""Runs and answers, queued for a worker."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import User
from annotations.models import DatasetVersion
from jobs.models import Job, Pipeline
from jobs.services import JobRefused, job_queue
from jobs.steering import job_prioritise
from training.models import Artifact, Run
from training.services.artifacts import artifact_create
from training.services.checking import backend_ask, run_check
from training.services.models import models_used
from training.services.refusals import RunRefused
from training.specs import RunSpec
from training.teachers import may_ask, names_teachers
from training.trainers import METHODS

GENERATE_FILE = "generate.json"


def run_queue(
    *,
    name: str,
    recipe: str,
    dataset: DatasetVersion,
    actor: User | None,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    hardware_tag: str = "cpu",
    title: str = "",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
    priority: int = 0,
) -> Run:
    """Queue a training run for a worker with `hardware_tag`, once the jobs in `after` have succeeded, those of the highest
    `priority` first.

    Its artifact's row is made now, and is ready when the run has succeeded. Raises RunRefused.
    """
    after = list(after)
    spec = run_check(
        name=name,
        recipe=recipe,
        dataset=dataset,
        base=base,
        overrides=overrides,
        profile=profile,
        hardware_tag=hardware_tag,
        after=after,
    )
    backend_ask([spec], dataset=dataset, base=base)
    return run_create(
        name=name,
        spec=spec,
        recipe=recipe,
        dataset=dataset,
        base=base,
        actor=actor,
        title=title,
        after=after,
        pipeline=pipeline,
        priority=priority,
    )


@transaction.atomic
def run_create(
    *,
    name: str,
    spec: RunSpec,
    recipe: str,
    dataset: DatasetVersion,
    base: Artifact | None,
    actor: User | None,
    title: str = "",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
    priority: int = 0,
) -> Run:
    """Queue a run that `run_check` let pass and its backend takes: its job, its row and its model's. Raises RunRefused."""
    after, method = list(after), METHODS[spec.method]
    if names_teachers(spec) and not may_ask(actor):
        raise RunRefused("reward", "What an AI teacher is asked costs money: an admin can queue a run that it rewards.")
    kind = Artifact.Kind.ADAPTER if spec.settings.lora else Artifact.Kind.MODEL
    uses = models_used(spec, waits=bool(after))
    artifact = artifact_create(name, kind=kind, base=base, purpose=method.produces)
    job = job_queue(
        kind="training.run",
        title=title or f"{method.title}: {name}",
        payload={"run": name},
        hardware_tag=spec.hardware.profile,
        actor=actor,
        after=after,
        pipeline=pipeline,
    )
    if priority:
        job = _prioritised(job, priority, actor)
    run = Run.objects.create(
        name=name,
        method=spec.method,
        recipe=recipe,
        spec=spec.model_dump(mode="json"),
        dataset=dataset,
        base=base,
        artifact=artifact,
        job=job,
        requested_by=actor,
    )
    run.uses.set(uses)
    audit.record(actor=actor, action="training.run_queued", target=run, detail={"recipe": recipe, "tag": job.hardware_tag})
    return run


def _prioritised(job: Job, priority: int, actor: User | None) -> Job:
    try:
        return job_prioritise(job=job, priority=priority, actor=actor)
    except JobRefused as refused:
        raise RunRefused("priority", str(refused)) from refused


@transaction.atomic
def generation_queue(
    *,
    artifact: Artifact,
    prompts: Path,
    actor: User | None,
    samples: int = 1,
    temperature: float = 1.0,
    max_new_tokens: int = 64,
    seed: int = 0,
    hardware_tag: str = "cpu",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
) -> Job:
    """Queue the answering of every prompt in a JSON-lines file, `samples` times each; the job's folder gets `answers.jsonl`."""
    return job_queue(
        kind="training.generate",
        title=f"Answers of {artifact.name}",
        payload={
            "artifact": artifact.name,
            "request": {
                "prompts": str(prompts),
                "samples": samples,
                "temperature": temperature,
                "max_new_tokens": max_new_tokens,
                "seed": seed,
                "hardware": {"profile": hardware_tag},
            },
        },
        hardware_tag=hardware_tag,
        actor=actor,
        after=after,
        pipeline=pipeline,
    )
