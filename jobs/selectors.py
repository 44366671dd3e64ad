"""What pages, API and commands read about jobs and workers."""

from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from jobs.models import ENDED, Job, Pipeline, State, Worker

# A worker beats every five seconds; three missed beats and it counts as gone.
WORKER_ALIVE = timedelta(seconds=20)


def job_list(*, state: str = "", tag: str = "", kind: str = "") -> QuerySet[Job]:
    """Jobs, newest first; empty filters let everything through. `state` may be “live” for all that have not ended."""
    jobs = Job.objects.select_related("worker", "requested_by", "pipeline")
    if state == "live":
        jobs = jobs.exclude(state__in=ENDED)
    elif state in State.values:
        jobs = jobs.filter(state=state)
    if tag:
        jobs = jobs.filter(hardware_tag=tag)
    return jobs.filter(kind=kind) if kind else jobs


def live_workers() -> QuerySet[Worker]:
    return Worker.objects.filter(ended_at=None, seen_at__gt=Now() - WORKER_ALIVE)


def tags_served() -> set[str]:
    """The hardware tags that some live worker takes jobs for."""
    return {tag for tags in live_workers().values_list("tags", flat=True) for tag in tags}


def pipeline_jobs(pipeline: Pipeline) -> list[Job]:
    """A pipeline's steps in the order they were queued."""
    return list(pipeline.jobs.select_related("worker").order_by("id"))


def pipeline_state(jobs: list[Job]) -> State:
    """A pipeline's state, from its steps: the worst end, else whether anything moves."""
    states = {State(job.state) for job in jobs}
    for state in (State.FAILED, State.STOPPED, State.STOPPING, State.RUNNING, State.STARTING):
        if state in states and (state not in ENDED or states <= set(ENDED)):
            return state
    if states == {State.SUCCEEDED}:
        return State.SUCCEEDED
    return State.RUNNING if State.SUCCEEDED in states else State.QUEUED
