"""What the fragments in `templates/jobs/` show of a job's streams, for any page that has a `job`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django import template
from django.urls import reverse

from jobs.charts import Measure, charts_of, measures
from jobs.figures import Chart
from jobs.kinds import checkpoint_of
from jobs.models import Job, PausedQueue, State
from jobs.monitoring.histories import stream_history
from jobs.selectors import jobs_ahead, jobs_at_work, queue_pause_of, tags_served
from jobs.streams import FILES, read_tail
from jobs.streams import log_text as as_text

register = template.Library()


@dataclass(frozen=True)
class Shown:
    """A stream as it is now: its charts, its figures, and up to where it was read."""

    charts: list[Chart]
    measures: list[Measure]
    offset: int

    @property
    def has_energy(self) -> bool:
        return any(one.name == "energy_joules" for one in self.measures)


@dataclass(frozen=True)
class ShownLog:
    text: str
    offset: int
    is_cut: bool


@register.simple_tag
def job_metrics(job: Job) -> Shown:
    return _shown(job, "metrics")


@register.simple_tag
def job_telemetry(job: Job) -> Shown:
    return _shown(job, "telemetry")


def _shown(job: Job, stream: str) -> Shown:
    history = stream_history(job, stream)
    found = [one for one in measures(history.columns) if one.name != "minutes"]
    # The whole stream, a line a row: more than the table behind one of its charts has.
    whole = reverse("jobs:job-csv", args=[job.pk, stream])
    return Shown([one.taken_from(whole) for one in charts_of(stream, history.columns)], found, history.offset)


@register.simple_tag
def job_log(job: Job) -> ShownLog:
    if not job.folder:
        return ShownLog("", 0, False)
    piece = read_tail(Path(job.folder) / FILES["log"], to_end=job.has_ended)
    return ShownLog(as_text(piece.data), piece.end, piece.start > 0)


@register.simple_tag
def job_waits_for_worker(job: Job) -> bool:
    """Whether the job is queued for hardware that no living worker has."""
    return job.state == State.QUEUED and job.hardware_tag not in tags_served()


@register.simple_tag
def job_paused(job: Job) -> PausedQueue | None:
    """Who paused the queue that a queued job waits in, and why."""
    return queue_pause_of(job.hardware_tag) if job.state == State.QUEUED else None


@register.simple_tag
def job_ahead(job: Job) -> int | None:
    """How many jobs come before a queued one; None for one that is not queued."""
    return jobs_ahead(job) if job.state == State.QUEUED else None


@register.simple_tag
def job_held_up_by(job: Job) -> list[Job]:
    """Some of what the workers of a queued job's hardware tag are busy with."""
    return jobs_at_work(job.hardware_tag) if job.state == State.QUEUED else []


@register.simple_tag
def job_checkpoint(job: Job) -> str | None:
    """What a failed or stopped job would go on from."""
    return checkpoint_of(job) if job.has_ended else None


@register.filter
def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(seconds, UTC)


@register.simple_tag
def job_waits_for(job: Job) -> list[Job]:
    """The jobs that must still succeed before a queued one may start."""
    return list(job.after.exclude(state=State.SUCCEEDED)) if job.state == State.QUEUED else []


@register.filter
def span(value: timedelta | None) -> str:
    """A duration as people say it: 8 s, 3 min 20 s, 2 h 5 min."""
    if value is None:
        return "—"
    seconds = int(value.total_seconds())
    if seconds < 60:
        return f"{value.total_seconds():.1f} s" if seconds < 10 else f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


@register.filter
def figure(value: float | None) -> str:
    """A measured number in four digits; a dash for what was not measured."""
    if value is None:
        return "—"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")
