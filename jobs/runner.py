"""Carrying out one held job: its folder, its child process, its lease, and how it ends."""

import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from jobs import leases
from jobs.child import FAILURE, PROGRESS, RESULT, append_jsonl, write_json
from jobs.kinds import JobKind, Outcome, kind_of
from jobs.leases import Held, LeaseLost, Progress
from jobs.models import Job, State
from jobs.services import dependents_settle
from jobs.telemetry import Sampler

logger = logging.getLogger(__name__)

LOG = "log.txt"
TELEMETRY = "telemetry.jsonl"
CHILD = "child.json"
LOOK_EVERY = 0.25
SAMPLE_EVERY = 2.0


@dataclass(frozen=True)
class Ending:
    """How a job ended, and what there is to say about it."""

    state: State
    reason: str = ""
    hint: str = ""
    exit_code: int | None = None
    result: dict[str, Any] | None = None


def run_held(held: Held, *, shutting_down: Callable[[], bool]) -> None:
    """Carry out a job to its end. When the worker is shutting down, its child is stopped and the job goes back to the queue."""
    job = Job.objects.select_related("pipeline").get(pk=held.job_id)
    try:
        kind = kind_of(job.kind)
        folder = _open_folder(job, held)
        ending = _run_child(kind, job, held, folder, shutting_down)
    except LeaseLost:
        logger.warning("job %s: the lease is lost, somebody else has it", job.pk)
        return
    except Exception as error:
        # Whatever goes wrong in a kind's own code ends its job with a reason; it must not end the worker.
        logger.exception("job %s could not be started", job.pk)
        ending = Ending(State.FAILED, f"It could not be started: {error}", "The worker's log has the details.")
    if ending is None:
        leases.release(held)
        return
    with suppress(LeaseLost):
        finish(held, ending)


def finish(held: Held, ending: Ending) -> Job:
    """End the job, if it is still ours: move its folder and let its kind write down what it made, all or nothing.

    Raises LeaseLost, and whatever the kind raises: then the job fails instead.
    """
    try:
        with transaction.atomic():
            job = leases.lock(held)
            job.folder = str(_publish_folder(kind_of(job.kind), job))
            _end(job, ending)
            kind_of(job.kind).finished(job, Outcome(ending.state))
    except (LeaseLost, LookupError):
        raise
    except Exception as error:
        logger.exception("job %s: what it made could not be taken over", held.job_id)
        if ending.state == State.FAILED:
            raise
        return finish(held, Ending(State.FAILED, f"What it made could not be taken over: {error}", exit_code=ending.exit_code))
    dependents_settle(job)
    return job


def _end(job: Job, ending: Ending) -> None:
    job.state = ending.state
    job.reason, job.hint, job.exit_code, job.result = ending.reason, ending.hint, ending.exit_code, ending.result
    job.lease_token = job.lease_until = None
    job.finished_at = Now()
    progress = _progress(Path(job.folder))
    job.progress_done, job.progress_total, job.progress_note = progress.done, progress.total, progress.note[:200]
    job.save()
    job.refresh_from_db()


def _open_folder(job: Job, held: Held) -> Path:
    """This attempt's folder: the one of the attempt before, renamed, or a new one.

    The new name fences off a child of the earlier attempt that is still alive: the paths it writes to are gone.
    """
    folder = _unused(Path(settings.RLWHF_HOME) / "work" / f"{job.pk}-{job.attempt}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    earlier = Path(job.folder) if job.folder else None
    if earlier is not None and earlier.is_dir():
        _kill_left_behind(earlier)
        shutil.move(earlier, folder)
        for name in (RESULT, FAILURE):
            (folder / name).unlink(missing_ok=True)
    else:
        folder.mkdir()
    leases.set_folder(held, str(folder))
    job.folder = str(folder)
    return folder


def _unused(folder: Path) -> Path:
    """The path, with a number behind it where it is taken: attempts are counted anew when a job is queued again."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([folder], numbered) if not path.exists())


def _kill_left_behind(folder: Path) -> None:
    """Kill the child of an attempt whose worker died, if it still runs on this machine."""
    with suppress(OSError, ValueError, KeyError, psutil.Error):
        noted = json.loads((folder / CHILD).read_text(encoding="utf-8"))
        process = psutil.Process(noted["pid"])
        if process.create_time() == noted["create_time"]:
            _signal_group(noted["pid"], signal.SIGKILL)


def _publish_folder(kind: JobKind, job: Job) -> Path:
    folder, destination = Path(job.folder), kind.destination(job)
    if destination is None or folder == destination or not folder.is_dir():
        return folder
    destination.parent.mkdir(parents=True, exist_ok=True)
    if destination.exists():  # of an attempt that moved its folder and lost its lease before it could say so
        destination.rename(destination.with_name(f"{destination.name}.superseded-{job.attempt}-{time.time_ns()}"))
    shutil.move(folder, destination)
    return destination


def _run_child(kind: JobKind, job: Job, held: Held, folder: Path, shutting_down: Callable[[], bool]) -> Ending | None:
    """Start the child and stay with it; None when it was stopped because the worker is shutting down."""
    launch = kind.launch(job, folder)
    with (folder / LOG).open("ab") as log:
        child = subprocess.Popen(
            launch.argv,
            cwd=folder,
            env=_environment(launch.env),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with suppress(psutil.Error):
        write_json(folder / CHILD, {"pid": child.pid, "create_time": psutil.Process(child.pid).create_time()})
    try:
        cancelled = _watch(child, held, folder, shutting_down)
    finally:
        _signal_group(child.pid, signal.SIGKILL)  # nothing of the child outlives its job
        child.wait()
        if child.stdin is not None:
            child.stdin.close()
    if shutting_down() and not cancelled and not _succeeded(child, folder):
        return None
    return _ending(child, folder, cancelled=cancelled)


def _environment(extra: dict[str, str]) -> dict[str, str]:
    path = os.pathsep.join(part for part in (str(settings.BASE_DIR), os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **extra}


def _watch(child: "subprocess.Popen[bytes]", held: Held, folder: Path, shutting_down: Callable[[], bool]) -> bool:
    """Renew the lease while the child lives, and stop it when asked to; returns whether the job was cancelled."""
    renew_every = min(1.0, settings.JOB_LEASE_SECONDS / 4)
    next_renewal = next_sample = 0.0
    kill_at: float | None = None
    cancelled = False
    with _Telemetry(child.pid, folder) as telemetry:
        while child.poll() is None:
            now = time.monotonic()
            if now >= next_renewal:
                progress = _progress(folder)
                state = State.STARTING if progress.done is None else State.RUNNING
                cancelled = leases.renew(held, state=state, progress=progress)
                next_renewal = now + renew_every
            if now >= next_sample:
                telemetry.write()
                next_sample = now + SAMPLE_EVERY
            if kill_at is None and (cancelled or shutting_down()):
                _signal_group(child.pid, signal.SIGTERM)
                kill_at = now + settings.JOB_STOP_GRACE_SECONDS
            if kill_at is not None and now >= kill_at:
                _signal_group(child.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                child.wait(LOOK_EVERY)
    return cancelled


class _Telemetry:
    """Writes samples of a child; what goes wrong with that is no reason to lose the job."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._path = folder / TELEMETRY
        try:
            self._sampler: Sampler | None = Sampler(pid)
        except psutil.Error:
            self._sampler = None

    def __enter__(self) -> "_Telemetry":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._sampler is not None:
            self._sampler.close()

    def write(self) -> None:
        if self._sampler is not None:
            with suppress(OSError, psutil.Error):
                append_jsonl(self._path, self._sampler.sample())


def _signal_group(pid: int, number: int) -> None:
    """Signal the child's whole process group, of which it is the leader."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _progress(folder: Path) -> Progress:
    read = _read(folder / PROGRESS) or {}
    return Progress(done=read.get("done"), total=read.get("total"), note=str(read.get("note") or ""))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _succeeded(child: "subprocess.Popen[bytes]", folder: Path) -> bool:
    return child.returncode == 0 and (folder / RESULT).exists()


def _ending(child: "subprocess.Popen[bytes]", folder: Path, *, cancelled: bool) -> Ending:
    code = child.returncode
    if _succeeded(child, folder):
        return Ending(State.SUCCEEDED, exit_code=code, result=_read(folder / RESULT))
    if cancelled:
        return Ending(State.STOPPED, "Stopped on request.", exit_code=code)
    failure = _read(folder / FAILURE)
    if failure is not None:
        return Ending(State.FAILED, str(failure.get("reason")), str(failure.get("hint") or ""), code)
    if code == -signal.SIGKILL:
        hint = "Use a smaller batch with more accumulation, a smaller model, or a machine with more memory."
        return Ending(State.FAILED, "Its process was killed, most likely because the machine ran out of memory.", hint, code)
    said = f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    if code == 0:
        said = "ended without a result"
    return Ending(State.FAILED, f"Its process {said}. {_last_words(folder)}".strip(), "The log has the details.", code)


def _last_words(folder: Path) -> str:
    with suppress(OSError):
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((f"Its last words: {line.strip()}" for line in reversed(lines) if line.strip()), "")
    return ""
