"""Watching a job from the shell: what `--wait` does."""

import time
from collections.abc import Callable

from django.core.management.base import CommandError

from jobs.models import Job, State


def follow(job: Job, write: Callable[[str], object], *, every: float = 0.5) -> Job:
    """Write a line whenever what the job says of itself changes; returns the job as it ended.

    Ctrl-C ends the watching, not the job.
    """
    said = ""
    while True:
        job.refresh_from_db()
        line = status_line(job)
        if line != said:
            write(line)
            said = line
        if job.has_ended:
            return job
        time.sleep(every)


def succeeded(ended: Job, *, name: str = "") -> Job:
    """The same job; raises CommandError with why, and what to do, where it did not succeed. `name`: told in its title's place."""
    if ended.state != State.SUCCEEDED:
        raise CommandError(f"{name or ended.title} {ended.state}: {ended.reason} {ended.hint}".strip())
    return ended


def status_line(job: Job) -> str:
    """One line: what it is, its state, how far it is."""
    parts = [f"{job.title}: {job.state}"]
    if job.progress_total:
        parts.append(f"{100 * (job.progress_done or 0) / job.progress_total:.0f} %")
    if job.progress_note:
        parts.append(job.progress_note)
    if job.reason:
        parts.append(job.reason)
    return ", ".join(parts)
