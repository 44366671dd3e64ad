"""Carrying out one held job: its folder, its child process, its lease, and how it ends."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from jobs import leases
from jobs.child import FAILURE, NOTICES, PROGRESS, RESULT, read_json
from jobs.disks import HINT, UNTOLD_EXIT_CODE, full_disk_reason, is_disk_full, is_full
from jobs.folders import KILL, begin_anew, note_child, note_done, open_folder, published, signal_group
from jobs.kinds import CannotStart, Failure, JobKind, Launch, Outcome, kind_of
from jobs.leases import Held, LeaseLost, Progress
from jobs.models import Job, State
from jobs.monitoring.watching import JobWatch
from jobs.processors import memory_kills, memory_limit
from jobs.services import dependents_settle, job_try_again, send_if_ready
from jobs.site_secrets import environment_without_secrets
from jobs.storage import places, remote
from jobs.storage.folders import Stored
from jobs.streams import log_text, read_from, read_tail, rows_of

logger = logging.getLogger(__name__)

LOG = "log.txt"
LOOK_EVERY = 0.25
# A database that is silent for longer than this is worth a word.
SILENCE_TOLD = 3.0
NOTICES_AT_ONCE = 20
# A child that was killed while it held this share of all memory there is was most likely killed for that.
NEARLY_FULL = 0.8
# Below this part of the memory a job was hardly killed for the lack of it.
PLENTY_LEFT = 0.5
# What C++, Rust, the C library and Python say for want of memory, in small letters.
MEMORY_SIGNS = ("std::bad_alloc", "memory allocation of", "cannot allocate memory", "can't allocate memory", "memoryerror")
# A child that somebody ended by SIGKILL, neither us nor the system for want of memory.
KILLED = "killed"
# The database is away for a moment, as when it is started again; not: it refuses what it was asked.
DATABASE_AWAY = (OperationalError, InterfaceError)


@dataclass(frozen=True)
class Ending:
    """How a job ended, and what there is to say about it."""

    state: State
    reason: str = ""
    hint: str = ""
    exit_code: int | None = None
    result: dict[str, Any] | None = None
    # What its kind is told of a child that failed, which may know how to mend it.
    failure: Failure | None = None


def run_held(held: Held, *, shutting_down: Callable[[], bool]) -> None:
    """Carry out a job to its end. When the worker is shutting down, its child is stopped and the job goes back to the queue."""
    # By its token: after a pause since the claim the row may speak of another holder's folder, which is not ours to move.
    job = Job.objects.select_related("pipeline").filter(pk=held.job_id, lease_token=held.token).first()
    if job is None:
        logger.warning("job %s: the lease was lost before it began", held.job_id)
        return
    attempt: _Attempt | None = None
    try:
        kind, named = kind_of(job.kind), job.folder
        folder = open_folder(kind, job)
        job.folder = places.row_path(folder)
        leases.set_folder(held, job.folder)
        attempt = _Attempt(kind, job, held, folder, shutting_down)
        ending = _run_child(attempt, _prepare(attempt, named))
    except remote.StopAskedError:
        ending = Ending(State.STOPPED, "Stopped on request.")
    except remote.PutAwayError:
        ending = None
    except LeaseLost:
        logger.warning("job %s: the lease is lost, somebody else has it", job.pk)
        return
    except DATABASE_AWAY:
        logger.exception("job %s could not be started, for the database is away; its lease will run out", job.pk)
        connection.close()
        return
    except Exception as error:
        # Whatever goes wrong in a kind's own code ends its job with a reason; it must not end the worker.
        logger.exception("job %s could not be started", job.pk)
        ending = _failed("It could not be started", error, Path(settings.RLWHF_HOME) / "work")
    with suppress(LeaseLost):
        _let_go(held, ending, attempt)


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a held job, in its folder on this machine."""

    kind: JobKind
    job: Job
    held: Held
    folder: Path
    shutting_down: Callable[[], bool]


def _prepare(attempt: _Attempt, named: str) -> Launch:
    """How to start the child, once everything that it reads is on this machine; `named`: the last attempt's folder."""
    job, folder = attempt.job, attempt.folder
    with remote.fetching(_Renewal(attempt.held, folder), folder, attempt.shutting_down):
        if not job.start_over and remote.bring_back(named, folder):
            begin_anew(folder, job)
        return attempt.kind.launch(job, folder)


def _let_go(held: Held, ending: Ending | None, attempt: _Attempt | None) -> None:
    """End the job, or give it back to the queue (None). On a machine that is not the site's, its folder is sent first.

    Raises LeaseLost.
    """
    stored: Stored | None = None
    if attempt is not None and places.is_elsewhere():
        renewal = _Renewal(held, attempt.folder)
        if ending is None:
            remote.leave_resumable(renewal, held, attempt.folder)
        else:
            ending, stored = _sent(renewal, ending, attempt)
            remote.wait_until_told(held.job_id)
    if ending is None:
        if leases.release(held):
            return
        ending = Ending(State.STOPPED, "Stopped on request.")
    _finish_with_patience(held, ending, stored)


def _sent(renewal: "_Renewal", ending: Ending, attempt: _Attempt) -> tuple[Ending, Stored | None]:
    """What was sent to the storage; where it could not be, an ending that says so."""
    folder = attempt.folder
    try:
        attempt.kind.pack(attempt.job, folder)
        return ending, remote.send_back(renewal, folder)
    except (LeaseLost, *DATABASE_AWAY):
        raise
    except Exception as error:
        # The storage's, the disk's, or a kind's own: it ends the job with a reason; it must not end the worker.
        logger.exception("%s could not be sent to the storage", folder)
        reason = f"What it made could not be sent to the storage: {error}"
        hint = f"It lies on its worker's disk, in {folder}. Queued again, that worker sends it."
        if ending.state != State.SUCCEEDED:
            reason = f"{ending.reason} {reason}".strip()
        return Ending(State.FAILED, reason, hint, ending.exit_code), None


def _finish_with_patience(held: Held, ending: Ending, stored: Stored | None) -> None:
    """`finish`, again and again while the database is away: what a job made in hours is worth waiting for."""
    until = time.monotonic() + settings.JOB_STOP_GRACE_SECONDS
    while True:
        try:
            finish(held, ending, stored=stored)
        except DATABASE_AWAY:
            logger.exception("job %s has ended, but the database cannot be told; trying again", held.job_id)
            connection.close()
            if time.monotonic() > until:
                return  # the lease runs out, and the next attempt goes on from the last checkpoint
            time.sleep(1)
        else:
            return


def finish(held: Held, ending: Ending, *, tell_kind: bool = True, stored: Stored | None = None) -> Job:
    """End the job, if it is still ours: move its folder and let its kind write down what it made, all or nothing.

    A job whose child failed goes back into the queue where its kind has changed what may mend it, or where somebody killed it.

    Where the kind cannot, or there is no such kind any more, the job fails and says so. Raises LeaseLost.
    """
    try:
        with transaction.atomic():
            job = leases.lock(held)
            kind = kind_of(job.kind) if tell_kind else JobKind()
            if ending.failure and not job.cancel_requested and kind.again(job, ending.failure):
                remote.record(job, stored, is_final=False)
                job_try_again(row=job, reason=ending.reason)
                return job
            if _is_lost_work(job, ending):
                remote.record(job, stored, is_final=False)
                leases.notice(held, f"{ending.reason} It was queued again.")
                _queue_lost(job, ending)
                return job
            with published(kind, job) as job.folder:
                _end(job, ending)
                remote.record(job, stored, is_final=True)
                kind.finished(job, Outcome(ending.state))
    except (LeaseLost, *DATABASE_AWAY):
        raise
    except Exception as error:
        # A kind's own code again, which also may fail in any way.
        logger.exception("job %s: what it made could not be taken over", held.job_id)
        if not tell_kind:
            raise
        succeeded = ending.state == State.SUCCEEDED
        if succeeded:
            failed = replace(_failed("What it made could not be taken over", error, _aim(held)), exit_code=ending.exit_code)
        else:
            failed = ending
        return finish(held, failed, tell_kind=succeeded, stored=stored)
    dependents_settle(job)
    return job


def _failed(what: str, error: Exception, where: Path) -> Ending:
    """The end of a job that failed in the worker's own hands; `where`: the folder that was written to."""
    if isinstance(error, CannotStart):
        return Ending(State.FAILED, error.reason, error.hint)
    if is_disk_full(error):
        return Ending(State.FAILED, f"{what}. {full_disk_reason(where)}", HINT)
    return Ending(State.FAILED, f"{what}: {error}", "The worker's log has the details.")


def _aim(held: Held) -> Path:
    """Where the job's folder was to be moved, for saying which disk was full."""
    job = Job.objects.get(pk=held.job_id)
    with suppress(Exception):  # its kind may be what failed
        return kind_of(job.kind).destination(job) or Path(job.folder)
    return Path(job.folder)


def _is_lost_work(job: Job, ending: Ending) -> bool:
    """Whether its child was killed by we know not whom, and not for want of memory: that says nothing against the job, just as
    when its worker is killed. Attempts count, for what kills it may come again.
    """
    killed = ending.failure is not None and ending.failure.kind == KILLED
    return killed and not job.cancel_requested and job.attempt < job.max_attempts


def _queue_lost(job: Job, ending: Ending) -> None:
    logger.warning("job %s: its process was killed; queued again", job.pk)
    job.state, job.reason, job.exit_code = State.QUEUED, ending.reason, ending.exit_code
    job.worker = job.lease_token = job.lease_until = job.enqueued_at = None
    job.save(update_fields=["state", "reason", "exit_code", "worker", "lease_token", "lease_until", "enqueued_at"])
    send_if_ready(job)


def _end(job: Job, ending: Ending) -> None:
    job.state = ending.state
    job.reason, job.hint, job.exit_code, job.result = ending.reason, ending.hint, ending.exit_code, ending.result
    job.lease_token = job.lease_until = None
    job.finished_at = Now()
    progress = _progress(places.local_path(job.folder)) if job.folder else Progress()
    job.progress_done, job.progress_total, job.progress_note = progress.done, progress.total, progress.note[:200]
    job.save()
    job.refresh_from_db()


def _run_child(attempt: _Attempt, launch: Launch) -> Ending | None:
    """Start the child and stay with it; None when it was stopped because the worker is shutting down."""
    job, folder = attempt.job, attempt.folder
    kills = memory_kills()
    # What earlier attempts had to say is in the row already; read before the child starts, which may speak at once.
    said_before = _size(folder / NOTICES)
    with remote.Beside(attempt.kind, attempt.held, folder) as beside:
        with (folder / LOG).open("ab") as log:
            log_start = log.tell()
            child = subprocess.Popen(
                launch.argv,
                cwd=folder,
                env=_environment(launch),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            note_child(folder, job, child.pid)
            watched = _watch(child, attempt, beside, said_before)
        finally:
            signal_group(child.pid, KILL)  # nothing of the child outlives its job
            child.wait()
            if child.stdin is not None:
                child.stdin.close()
    if _succeeded(child, folder):
        note_done(folder, job)
    if attempt.shutting_down() and not watched.cancelled and not _succeeded(child, folder):
        return None
    seen = replace(watched, log_start=log_start, memory_kill=kills is not None and memory_kills() != kills)
    return _ending(child, folder, seen)


def _environment(launch: Launch) -> dict[str, str]:
    kept = dict(os.environ) if launch.is_django else environment_without_secrets()
    path = os.pathsep.join(part for part in (str(settings.BASE_DIR), os.environ.get("PYTHONPATH")) if part)
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **launch.env}


@dataclass(frozen=True)
class _Watched:
    """What was seen of a child: whether it was stopped on request, and the most memory that was sampled, in bytes; then
    where in the log it began, and whether the system counted a kill for lack of memory.
    """

    cancelled: bool
    peak_bytes: int | None
    log_start: int = 0
    memory_kill: bool = False


def _watch(child: "subprocess.Popen[bytes]", attempt: _Attempt, beside: remote.Beside, said_before: int) -> _Watched:
    """Renew the lease while the child lives, and stop it when asked to; `said_before` bytes of its notices are old."""
    held, folder = attempt.held, attempt.folder
    renewal = _Renewal(held, folder, said_before)
    kill_at: float | None = None
    with JobWatch(child.pid, held, folder) as watch, _killed_with_its_lease(child.pid, renewal) as lost:
        while child.poll() is None:
            now = time.monotonic()
            renewal.when_due(now)
            watch.when_due(now)
            beside.when_due(now)
            if kill_at is None and (renewal.cancelled or attempt.shutting_down()):
                signal_group(child.pid, signal.SIGTERM)
                kill_at = now + settings.JOB_STOP_GRACE_SECONDS
            if kill_at is not None and now >= kill_at:
                signal_group(child.pid, KILL)
            with suppress(subprocess.TimeoutExpired):
                child.wait(LOOK_EVERY)
        if lost.is_set() and not _succeeded(child, folder):
            raise LeaseLost
        with suppress(*DATABASE_AWAY):
            renewal.pass_on_notices()
    return _Watched(renewal.cancelled, watch.peak_bytes)


@contextmanager
def _killed_with_its_lease(pid: int, renewal: "_Renewal") -> Iterator[threading.Event]:
    """Kill the child as soon as its lease must have run out; yields what is set when that was done.

    Whoever watches the child may be waiting for a database that neither answers nor breaks off (a lock, a server that hangs, a
    network that swallows), and somebody else may have the job by then.
    """
    over, lost = threading.Event(), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY):
            if time.monotonic() > renewal.good_until:
                lost.set()
                signal_group(pid, KILL)
                return

    thread = threading.Thread(target=look, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()


class _Renewal:
    """Renews a lease every so often, and bears a database that is away for less than the lease lasts."""

    def __init__(self, held: Held, folder: Path, said_before: int | None = None) -> None:
        """`said_before`: how much of the notices, in bytes, earlier attempts wrote; None: all that is there, since none runs."""
        self.cancelled = False
        self._held = held
        self._folder = folder
        self._next = 0.0
        self.good_until = time.monotonic() + settings.JOB_LEASE_SECONDS
        self._heard_at = time.monotonic()
        self._notices_read = _size(folder / NOTICES) if said_before is None else said_before

    def when_due(self, now: float) -> None:
        """Renew, if it is time. Raises LeaseLost, also where nobody can be asked and the lease must have run out."""
        if now < self._next:
            return
        self._next = now + min(1.0, settings.JOB_LEASE_SECONDS / 4)
        progress = _progress(self._folder)
        state = State.STARTING if progress.done is None else State.RUNNING
        try:
            self.cancelled = leases.renew(self._held, state=state, progress=progress)
            self.good_until = now + settings.JOB_LEASE_SECONDS
            self._tell_silence(time.monotonic())
            self.pass_on_notices()
        except DATABASE_AWAY as error:
            connection.close()
            if time.monotonic() > self.good_until:
                raise LeaseLost from error
            logger.warning("job %s: the lease could not be renewed; trying again", self._held.job_id)

    def _tell_silence(self, now: float) -> None:
        silent, self._heard_at = now - self._heard_at, now
        if silent > SILENCE_TOLD:
            leases.notice(self._held, f"The database did not answer for {silent:.0f} s; the work went on meanwhile.")

    def pass_on_notices(self) -> None:
        """Write what the child wants a person to know into the job's row. Raises LeaseLost."""
        piece = read_from(self._folder / NOTICES, self._notices_read)
        for row in rows_of(piece.data)[:NOTICES_AT_ONCE]:
            leases.notice(self._held, str(row.get("text") or ""))
        self._notices_read = piece.end


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _progress(folder: Path) -> Progress:
    read = read_json(folder / PROGRESS)
    return Progress(done=read.get("done"), total=read.get("total"), note=str(read.get("note") or ""))


def _succeeded(child: "subprocess.Popen[bytes]", folder: Path) -> bool:
    return child.returncode == 0 and (folder / RESULT).exists()


def _ending(child: "subprocess.Popen[bytes]", folder: Path, watched: _Watched) -> Ending:
    code = child.returncode
    if _succeeded(child, folder):
        return Ending(State.SUCCEEDED, exit_code=code, result=read_json(folder / RESULT))
    told = read_json(folder / FAILURE)
    if watched.cancelled:
        return _stopped(code, told)
    if told:
        failure = Failure(str(told.get("reason")), str(told.get("kind") or ""), str(told.get("about") or ""))
        return Ending(State.FAILED, failure.reason, str(told.get("hint") or ""), code, failure=failure)
    if code == -KILL:
        hint = "Use a smaller batch with more accumulation, a smaller model, or a machine with more memory."
        reason = _memory_reason(watched.peak_bytes, certain=watched.memory_kill)
        was_full = watched.memory_kill or (watched.peak_bytes or 0) >= NEARLY_FULL * memory_limit()
        failure = Failure(reason, "out-of-memory" if was_full else KILLED)
        return Ending(State.FAILED, reason, hint, code, failure=failure)
    if code == UNTOLD_EXIT_CODE or is_full(folder):
        reason = full_disk_reason(folder)
        return Ending(State.FAILED, reason, HINT, code, failure=Failure(reason, "disk-full"))
    said = f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    if code == 0:
        said = "ended without a result"
    reason = f"Its process {said}. {_last_words(folder)}".strip()
    failure = Failure(reason, "out-of-memory" if _ran_out_of_memory(folder, watched.log_start) else "")
    return Ending(State.FAILED, reason, "The log has the details.", code, failure=failure)


def _stopped(code: int, told: dict[str, Any]) -> Ending:
    """The end of a job that was asked to stop; what then kept it from writing its checkpoint is told."""
    if told:
        return Ending(
            State.STOPPED, f"Stopped on request, but not in order: {told.get('reason')}", str(told.get("hint") or ""), code
        )
    if code == -KILL:
        grace = f"{settings.JOB_STOP_GRACE_SECONDS:.0f} s"
        reason = (
            f"Stopped on request. It did not end within {grace} and was killed: what it did since its last checkpoint is lost."
        )
        return Ending(State.STOPPED, reason, "RLWHF_JOB_STOP_GRACE_SECONDS gives it longer.", code)
    return Ending(State.STOPPED, "Stopped on request.", exit_code=code)


def _ran_out_of_memory(folder: Path, log_start: int) -> bool:
    """Whether a child that could say nothing itself left word of it: libraries abort where they get no memory.

    Only what it wrote itself counts; the log also has that of earlier attempts.
    """
    tail = read_tail(folder / LOG, to_end=True)
    last = log_text(tail.data[max(log_start - tail.start, 0) :]).lower()
    return any(sign in last for sign in MEMORY_SIGNS)


def _memory_reason(peak_bytes: int | None, *, certain: bool) -> str:
    """`certain`: the system counted a kill for lack of memory while the job ran. Else the signal is all there is to go by."""
    gib = 2**30
    used = f" It was seen to use {peak_bytes / gib:.1f} GiB, of {memory_limit() / gib:.1f} GiB there are." if peak_bytes else ""
    if certain:
        return f"It ran out of memory, and the system killed it.{used}"
    if peak_bytes and peak_bytes < PLENTY_LEFT * memory_limit():
        return f"Its process was killed: by a person or a program (SIGKILL), or for want of memory that others took.{used}"
    return f"Its process was killed, most likely because the machine ran out of memory.{used}"


def _last_words(folder: Path) -> str:
    lines = log_text(read_tail(folder / LOG, to_end=True).data).splitlines()
    return next((f"Its last words: {line.strip()}" for line in reversed(lines) if line.strip()), "")
