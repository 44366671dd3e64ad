"""rlwhf serving: have a worker serve models of the site for chat, or end that."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from evaluation.chatting.selectors import servings
from evaluation.chatting.services import ServingRefused, serving_start, serving_stop


class Command(BaseCommand):
    help = "Have a worker serve models for chat, list those that are, or end it: rlwhf serving [start MODEL…|stop MODEL]"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="models that are served, or on their way (the default)")
        start = actions.add_parser("start", help="have a worker serve models, until nobody asks them any more")
        start.add_argument("models", nargs="+", metavar="MODEL")
        start.add_argument("--tag", default="", help="hardware (default: what there is)")
        stop = actions.add_parser("stop", help="end the job that serves a model, with all that it serves")
        stop.add_argument("model", metavar="MODEL")
        for one in (start, stop):
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "start":
            self._start(options)
        elif options["action"] == "stop":
            job = serving_stop(name=options["model"], actor=acting_user(options))
            self.stdout.write(f"Job {job.pk}: {job.get_state_display()}" if job else f"“{options['model']}” is not served.")
        else:
            self._list()

    def _start(self, options: dict[str, Any]) -> None:
        try:
            job = serving_start(names=options["models"], actor=acting_user(options), tag=options["tag"])
        except ServingRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"Job {job.pk} is queued: {job.title}" if job else "All of them are served, or on their way.")

    def _list(self) -> None:
        found = servings()
        for one in found:
            self.stdout.write(f"{one.name:<40} {one.state:<8} job {one.job.pk if one.job else ''}")
        if not found:
            self.stdout.write("No model is served. `rlwhf serving start MODEL` has a worker serve one.")
