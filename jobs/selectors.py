"""What pages, API and commands read about jobs and workers."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from jobs.clocks import database_now
from jobs.hardware import TAGS
from jobs.models import ENDED, HELD, Job, PausedQueue, Pipeline, State, Worker

# A worker beats every five seconds; three missed beats and it counts as gone.
WORKER_ALIVE = timedelta(seconds=20)
AT_WORK_SHOWN = 3


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


def job_counts(*, tag: str = "") -> dict[str, int]:
    """How many jobs there are in each state, of all hardware tags or of one."""
    counts = job_list(tag=tag).order_by().values_list("state").annotate(Count("id"))
    return dict.fromkeys(State.values, 0) | dict(counts)


def job_state(job: Job) -> dict[str, Any]:
    """What pages, streams and the API tell of a job while it runs."""
    done, total = job.progress_done, job.progress_total
    return {
        "id": job.pk,
        "state": job.state,
        "has_ended": job.has_ended,
        "attempt": job.attempt,
        "progress_done": done,
        "progress_total": total,
        "percent": job.percent,
        "note": job.progress_note,
        "reason": job.reason,
        "hint": job.hint,
        "worker": job.worker.name if job.worker else None,
        "notices": len(job.notices),
    }


@dataclass(frozen=True)
class WorkerRow:
    """A worker, whether it lives, and the job it holds."""

    worker: Worker
    is_alive: bool
    job: Job | None


def worker_list() -> list[WorkerRow]:
    """Workers that live, then the fifty that were last seen."""
    workers = list(Worker.objects.order_by(F("ended_at").desc(nulls_first=True), "-seen_at")[:50])
    return sorted(_worker_rows(workers), key=lambda row: not row.is_alive)


def worker_row(worker: Worker) -> WorkerRow:
    """One worker, whether it lives, and the job it holds."""
    return _worker_rows([worker])[0]


def _worker_rows(workers: list[Worker]) -> list[WorkerRow]:
    now = database_now()
    held = {job.worker_id: job for job in Job.objects.filter(worker__in=workers, state__in=HELD)}
    return [WorkerRow(one, _is_alive(one, now), held.get(one.pk)) for one in workers]


def _is_alive(worker: Worker, now: datetime) -> bool:
    return worker.ended_at is None and abs(worker.seen_at - now) < WORKER_ALIVE


def queue_depths() -> dict[str, int]:
    """How many jobs wait for each hardware tag."""
    waiting = Job.objects.filter(state=State.QUEUED).order_by().values_list("hardware_tag").annotate(Count("id"))
    return dict(waiting)


def workers_heard_of() -> QuerySet[Worker]:
    """Workers that show signs of life, those that are drained too.

    One that was seen in the future was seen before the database's clock was set back.
    """
    now = Now()
    return Worker.objects.filter(ended_at=None, seen_at__gt=now - WORKER_ALIVE, seen_at__lt=now + WORKER_ALIVE)


def live_workers() -> QuerySet[Worker]:
    """Workers that show signs of life and take jobs: not those that are drained."""
    return workers_heard_of().filter(drained_at=None)


def tags_served() -> set[str]:
    """The hardware tags that some live worker takes jobs for."""
    return {tag for tags in live_workers().values_list("tags", flat=True) for tag in tags}


@dataclass(frozen=True)
class QueueRow:
    """A hardware tag's queue: how many jobs wait and run, whether a worker serves it, and whether it is paused."""

    tag: str
    waiting: int
    running: int
    is_served: bool
    paused: PausedQueue | None


def queue_list() -> list[QueueRow]:
    """The queues of all hardware tags in their order; most of them are empty and served by nobody."""
    counts = Job.objects.exclude(state__in=ENDED).order_by().values_list("hardware_tag", "state").annotate(Count("id"))
    waiting: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for tag, state, count in counts:
        (waiting if state == State.QUEUED else running)[tag] += count
    served = tags_served()
    paused = {one.tag: one for one in PausedQueue.objects.select_related("paused_by")}
    return [QueueRow(tag, waiting[tag], running[tag], tag in served, paused.get(tag)) for tag in TAGS]


def queue_pause_of(tag: str) -> PausedQueue | None:
    """Who paused a hardware tag's queue, and why; None for one that moves."""
    return PausedQueue.objects.select_related("paused_by").filter(tag=tag).first()


def jobs_ahead(job: Job) -> int:
    """How many queued jobs of the same hardware tag come before a queued one; those that wait for others are left out."""
    rivals = Job.objects.filter(state=State.QUEUED, hardware_tag=job.hardware_tag).exclude(pk__in=waiting_jobs())
    return rivals.filter(Q(priority__gt=job.priority) | Q(priority=job.priority, pk__lt=job.pk)).count()


def jobs_at_work(tag: str, *, kind: str | None = None) -> list[Job]:
    """What workers of a hardware tag do now, of one kind or of all, longest at it first: some, where they are many."""
    busy = Job.objects.filter(hardware_tag=tag, state__in=(State.STARTING, State.RUNNING, State.STOPPING))
    busy = busy if kind is None else busy.filter(kind=kind)
    return list(busy.order_by("started_at", "pk")[:AT_WORK_SHOWN])


def waiting_jobs() -> QuerySet[Job]:
    """Queued jobs that must wait for another to succeed first."""
    unmet = Job.after.through.objects.filter(from_job_id=OuterRef("pk")).exclude(to_job__state=State.SUCCEEDED)
    return Job.objects.filter(Exists(unmet), state=State.QUEUED)


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
