"""rlwhf demo: the whole loop on a closed world, from teaching to the scorecard."""

import time
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from evaluation.loop import DemoLoopSettings, loop_start
from evaluation.models import Evaluation
from evaluation.scorecards.scorecard import Scorecard
from evaluation.scorecards.table import scorecard_text
from jobs.follow import status_line
from jobs.models import Pipeline
from jobs.selectors import pipeline_jobs, tags_served
from training.services import RunRefused

SELDOM_S = 30.0
"""Where nobody watches, how far a step is is written down this often at most."""


class Said(NamedTuple):
    """What was last said of a step, and when."""

    line: str
    state: str
    at: float


def is_news(now: Said, before: Said | None, *, seldom: float) -> bool:
    """Whether a step's line is to be written: its state is another, or its words are and the last ones are `seldom` s old."""
    if before is None or before.state != now.state:
        return True
    return before.line != now.line and now.at - before.at >= seldom


class Command(BaseCommand):
    help = "Run the whole loop on Atlas: teach, answer, score, gate, train, evaluate"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--method", choices=["grpo", "dpo"], default="grpo")
        parser.add_argument("--seed", type=int, default=0, help="of the world, the teaching and the training (default: 0)")
        parser.add_argument("--tag", default="cpu", help="hardware tag of the worker (default: cpu)")
        parser.add_argument(
            "--steps", type=int, help="cut teaching and training short, to see the loop turn; the figures then mean nothing"
        )
        parser.add_argument("--teach-again", action="store_true", help="even where this world was taught before")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        missing = {options["tag"], "site"} - tags_served()
        if missing:
            raise CommandError(
                f"No worker takes jobs for {' and '.join(sorted(missing))}: start the site with `make run` in another terminal."
            )
        began = time.monotonic()
        wanted = DemoLoopSettings(
            method=options["method"],
            seed=options["seed"],
            hardware_tag=options["tag"],
            max_steps=options["steps"],
            reuse_base=not (options["teach_again"] or options["steps"]),
        )
        try:
            pipeline = loop_start(actor=acting_user(options), wanted=wanted)
        except RunRefused as refused:
            raise CommandError(str(refused)) from refused
        self._follow(pipeline, began)
        evaluation = Evaluation.objects.select_related("artifact").get(pk=pipeline.payload["evaluation"])
        self.stdout.write(scorecard_text(Scorecard.model_validate(evaluation.scorecard)))
        address = f"{settings.SITE_ADDRESS}{evaluation.get_absolute_url()}"
        self.stdout.write(f"Done in {time.monotonic() - began:.0f} s. The scorecard: {address}")

    def _follow(self, pipeline: Pipeline, began: float) -> None:
        """Write a line for each change of a step, until all have succeeded. Ctrl-C ends the watching, not the loop.

        On a terminal every change; in a file or a pipe a step's new state at once, and how far it is every `SELDOM_S`.
        """
        said: dict[int, Said] = {}
        seldom = 0.0 if self.stderr.isatty() else SELDOM_S
        while True:
            jobs = pipeline_jobs(pipeline)
            for job in jobs:
                now = Said(status_line(job), job.state, time.monotonic())
                if job.state != "queued" and is_news(now, said.get(job.pk), seldom=seldom):
                    self.stderr.write(f"{now.at - began:5.0f} s  {now.line}")
                    said[job.pk] = now
            bad = next((job for job in jobs if job.state in {"failed", "stopped"}), None)
            if bad is not None:
                raise CommandError(f"{bad.title} {bad.state}: {bad.reason} {bad.hint}".strip())
            if all(job.state == "succeeded" for job in jobs):
                return
            time.sleep(1)
