"""rlwhf jobs: what runs in the background, from the shell."""

import json
from argparse import _SubParsersAction
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from jobs import services, steering
from jobs.follow import follow, status_line, succeeded
from jobs.hardware import TAGS
from jobs.kinds import checkpoint_of
from jobs.machines import free_of, machines_of
from jobs.models import Job, State, Worker
from jobs.selectors import WorkerRow, job_list, queue_list, worker_list

SHOWN = (
    "kind", "state", "hardware_tag", "priority", "attempt", "created_at", "started_at", "finished_at", "folder", "reason", "hint",
)  # fmt: skip


class Command(BaseCommand):
    help = "List, show, stop, requeue, follow and order background jobs; pause queues and drain workers"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="the newest jobs")
        listing.add_argument("--state", default="", choices=["live", *State.values], help="live: all that have not ended")
        listing.add_argument("--tag", default="", choices=TAGS, help="of this hardware tag only")
        listing.add_argument("--limit", type=int, default=20)
        actions.add_parser("workers", help="who takes jobs, and what of")
        for name, does in (("show", "all about one job"), ("follow", "watch a job until it ends; Ctrl-C ends the watching only")):
            actions.add_parser(name, help=does).add_argument("job", type=int)
        for name, does in (("stop", "ask a job to stop"), ("requeue", "queue a failed or stopped job again")):
            one = actions.add_parser(name, help=does)
            one.add_argument("job", type=int)
            add_user_argument(one)
            if name == "requeue":
                one.add_argument("--fresh", action="store_true", help="start over: throw away what it had done")
        _add_steering(actions)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        for job in job_list(state=options["state"], tag=options["tag"])[: options["limit"]]:
            self.stdout.write(f"{job.pk:>6}  {job.state:<9}  {job.hardware_tag:<10}  {status_line(job)}")

    def _workers(self, options: dict[str, Any]) -> None:
        for row in worker_list():
            tags, seen = ",".join(row.worker.tags), row.worker.seen_at
            self.stdout.write(f"{row.worker.name}  {tags}  {_doing(row)}, seen {seen:%Y-%m-%d %H:%M:%S}")
        for machine in machines_of(worker_list()):
            self.stdout.write(f"{machine.host}: {free_of(machine.hardware)}")

    def _queues(self, options: dict[str, Any]) -> None:
        for row in queue_list():
            said = f"{row.tag:<10}  {row.waiting:>5} waiting  {row.running:>3} at work"
            if row.paused is not None:
                who = row.paused.paused_by or "the shell"
                said += f"  paused by {who}, {row.paused.paused_at:%Y-%m-%d %H:%M:%S}. {row.paused.reason}".rstrip()
            self.stdout.write(said if row.is_served else f"{said}  no worker")

    def _show(self, options: dict[str, Any]) -> None:
        job = _job(options["job"])
        self.stdout.write(status_line(job))
        for name in SHOWN:
            self.stdout.write(f"  {name:<13} {getattr(job, name)}")
        if (checkpoint := checkpoint_of(job)) is not None:
            self.stdout.write(f"  {'checkpoint':<13} {checkpoint}")
        for one in job.notices:
            self.stdout.write(f"  {'notice':<13} {datetime.fromtimestamp(one['time'], UTC):%Y-%m-%d %H:%M:%S} {one['text']}")
        if job.result is not None:
            self.stdout.write(f"  {'result':<13} {json.dumps(job.result)}")

    def _follow(self, options: dict[str, Any]) -> None:
        succeeded(follow(_job(options["job"]), self.stdout.write))

    def _stop(self, options: dict[str, Any]) -> None:
        self.stdout.write(status_line(services.job_stop(job=_job(options["job"]), actor=acting_user(options))))

    def _requeue(self, options: dict[str, Any]) -> None:
        job, actor = _job(options["job"]), acting_user(options)
        with _refused():
            self.stdout.write(status_line(services.job_requeue(job=job, actor=actor, fresh=options["fresh"])))

    def _priority(self, options: dict[str, Any]) -> None:
        job, actor = _job(options["job"]), acting_user(options)
        with _refused():
            row = steering.job_prioritise(job=job, priority=options["priority"], actor=actor)
        self.stdout.write(f"{row.title}: priority {row.priority}")

    def _pause(self, options: dict[str, Any]) -> None:
        with _refused():
            steering.queue_pause(tag=options["tag"], actor=acting_user(options), reason=options["reason"])
        self.stdout.write(f"{options['tag']}: paused; what runs goes on")

    def _unpause(self, options: dict[str, Any]) -> None:
        with _refused():
            steering.queue_unpause(tag=options["tag"], actor=acting_user(options))
        self.stdout.write(f"{options['tag']}: moves again")

    def _drain(self, options: dict[str, Any]) -> None:
        worker, hand_back = _worker(options["worker"]), options["hand_back"]
        with _refused():
            steering.worker_drain(worker=worker, actor=acting_user(options), hand_back=hand_back)
        self.stdout.write(f"{worker.name}: {'hands back what it has, and takes no more' if hand_back else 'takes no more jobs'}")

    def _undrain(self, options: dict[str, Any]) -> None:
        worker = _worker(options["worker"])
        with _refused():
            steering.worker_undrain(worker=worker, actor=acting_user(options))
        self.stdout.write(f"{worker.name}: takes jobs again")


def _add_steering(actions: "_SubParsersAction[CommandParser]") -> None:
    """What orders the work: priorities, queues that pause, workers that are drained."""
    actions.add_parser("queues", help="what waits for each hardware tag, and what is paused")
    priority = actions.add_parser("priority", help="have a job come before those that are less urgent: priority JOB 10")
    priority.add_argument("job", type=int)
    lowest, highest = steering.LOWEST_PRIORITY, steering.HIGHEST_PRIORITY
    priority.add_argument("priority", type=int, help=f"{lowest} to {highest}; the usual one is 0")
    pause = actions.add_parser("pause", help="let no worker take jobs of a hardware tag; what runs goes on")
    pause.add_argument("--reason", default="", help="shown to those whose jobs wait")
    unpause = actions.add_parser("unpause", help="let workers take jobs of a hardware tag again")
    for one in (pause, unpause):
        one.add_argument("tag", choices=TAGS)
    drain = actions.add_parser("drain", help="let a worker take no more jobs; it ends the one it has")
    drain.add_argument("--hand-back", action="store_true", help="have it write a checkpoint and hand its job back instead")
    undrain = actions.add_parser("undrain", help="let a drained worker take jobs again")
    for one in (drain, undrain):
        one.add_argument("worker", help="its name, as `rlwhf jobs workers` has it")
    for one in (priority, pause, unpause, drain, undrain):
        add_user_argument(one)


def _doing(row: WorkerRow) -> str:
    if not row.is_alive:
        return "ended" if row.worker.ended_at else "lost"
    drained = "drained, " if row.worker.drained_at else ""
    return drained + (f"works on job {row.job.pk}" if row.job else "idle")


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except services.JobRefused as refused:
        raise CommandError(str(refused)) from refused


def _worker(name: str) -> Worker:
    worker = Worker.objects.filter(name=name).first()
    if worker is None:
        raise CommandError(f"There is no worker {name}; `rlwhf jobs workers` lists them.")
    return worker


def _job(pk: int) -> Job:
    job = Job.objects.filter(pk=pk).first()
    if job is None:
        raise CommandError(f"There is no job {pk}; `rlwhf jobs list` lists them.")
    return job
