"""rlwhf worker: take jobs of some hardware tags until told to end."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.child import watch_parent
from jobs.hardware import TAGS, detect
from jobs.worker import JobWorker


class Command(BaseCommand):
    help = "Take jobs: rlwhf worker --tags cuda-a100,cpu (default: the tags found on this machine, and site)"
    # The site\'s own checks import every page; `rlwhf up` and `rlwhf check` run them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tags", help=f"hardware tags, with commas between them: {', '.join(TAGS)}")

    def handle(self, *args: Any, **options: Any) -> None:
        tags = _tags(options["tags"]) if options["tags"] else [*detect(settings.RLWHF_HOME).tags, "site"]
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        watch_parent()
        worker = JobWorker(tags)
        worker.start()
        self.stdout.write(f"Taking jobs for {', '.join(tags)}.")
        while not ended.wait(3600):
            pass
        worker.stop()


def _tags(text: str) -> list[str]:
    tags = [tag.strip() for tag in text.split(",") if tag.strip()]
    unknown = [tag for tag in tags if tag not in TAGS]
    if unknown or not tags:
        raise CommandError(f"{', '.join(unknown) or 'Nothing'} is no hardware tag; there are {', '.join(TAGS)}.")
    return tags
