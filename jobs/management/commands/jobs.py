"""rlwhf jobs: what runs in the background, from the shell."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from jobs import services
from jobs.follow import follow, status_line
from jobs.hardware import TAGS
from jobs.models import Job, State
from jobs.selectors import job_list, worker_list

SHOWN = ("kind", "state", "hardware_tag", "attempt", "created_at", "started_at", "finished_at", "folder", "reason", "hint")


class Command(BaseCommand):
    help = "List, show, stop, requeue and follow background jobs, and list the workers that carry them out"

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

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        for job in job_list(state=options["state"], tag=options["tag"])[: options["limit"]]:
            self.stdout.write(f"{job.pk:>6}  {job.state:<9}  {job.hardware_tag:<10}  {status_line(job)}")

    def _workers(self, options: dict[str, Any]) -> None:
        for row in worker_list():
            state = f"works on job {row.job.pk}" if row.job else "idle"
            if not row.is_alive:
                state = "ended" if row.worker.ended_at else "lost"
            self.stdout.write(
                f"{row.worker.name}  {','.join(row.worker.tags)}  {state}, seen {row.worker.seen_at:%Y-%m-%d %H:%M:%S}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        job = _job(options["job"])
        self.stdout.write(status_line(job))
        for name in SHOWN:
            self.stdout.write(f"  {name:<13} {getattr(job, name)}")
        if job.result is not None:
            self.stdout.write(f"  {'result':<13} {json.dumps(job.result)}")

    def _follow(self, options: dict[str, Any]) -> None:
        ended = follow(_job(options["job"]), self.stdout.write)
        if ended.state != State.SUCCEEDED:
            raise CommandError(f"{ended.title}: {ended.state}. {ended.hint}".strip())

    def _stop(self, options: dict[str, Any]) -> None:
        self.stdout.write(status_line(services.job_stop(job=_job(options["job"]), actor=acting_user(options))))

    def _requeue(self, options: dict[str, Any]) -> None:
        try:
            self.stdout.write(status_line(services.job_requeue(job=_job(options["job"]), actor=acting_user(options))))
        except services.JobRefused as refused:
            raise CommandError(str(refused)) from refused


def _job(pk: int) -> Job:
    job = Job.objects.filter(pk=pk).first()
    if job is None:
        raise CommandError(f"There is no job {pk}; `rlwhf jobs list` lists them.")
    return job
