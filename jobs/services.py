"""Everything that queues, stops and requeues jobs. Pages, API, commands and other apps call these."""

import logging
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts import audit
from accounts.models import User
from jobs.models import ENDED, Job, Pipeline, State

logger = logging.getLogger(__name__)


class JobRefused(ValueError):
    """What was asked for cannot be done to this job; the message says why."""


@transaction.atomic
def job_queue(
    *,
    kind: str,
    title: str,
    payload: dict[str, Any],
    hardware_tag: str = "cpu",
    actor: User | None = None,
    after: Iterable[Job] = (),
    priority: int = 0,
    max_attempts: int = 3,
    pipeline: Pipeline | None = None,
) -> Job:
    """Queue a job for a worker with `hardware_tag`, once every job in `after` has succeeded."""
    job = Job.objects.create(
        kind=kind,
        title=title[:200],
        payload=payload,
        hardware_tag=hardware_tag,
        priority=priority,
        max_attempts=max_attempts,
        pipeline=pipeline,
        requested_by=actor,
    )
    job.after.set(after)
    audit.record(actor=actor, action="jobs.job_queued", target=job, detail={"kind": kind, "tag": hardware_tag})
    transaction.on_commit(lambda: _send(job))
    return job


def _send(job: Job) -> None:
    pass


@transaction.atomic
def job_stop(*, job: Job, actor: User | None) -> Job:
    """Ask for a job to stop: at once where nobody holds it, else by its worker within seconds. Stopping twice is harmless."""
    stopped = Job.objects.filter(pk=job.pk, state=State.QUEUED).update(
        state=State.STOPPED, cancel_requested=True, finished_at=Now(), reason="Stopped before it started."
    )
    if not stopped:
        Job.objects.filter(pk=job.pk).exclude(state__in=ENDED).update(cancel_requested=True, state=State.STOPPING)
    audit.record(actor=actor, action="jobs.job_stopped", target=job)
    job.refresh_from_db()
    return job


@transaction.atomic
def pipeline_create(*, name: str, kind: str, payload: dict[str, Any], actor: User | None) -> Pipeline:
    """A name for jobs that are queued together."""
    return Pipeline.objects.create(name=name[:120], kind=kind, payload=payload, requested_by=actor)
