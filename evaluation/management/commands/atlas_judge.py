"""rlwhf atlas-judge: teach a small judge whose error is known, and say what it is."""

import time
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from evaluation.atlas_judge import RECIPE, JudgeSettings, judge_error_kept, judge_teach
from jobs.follow import follow, succeeded
from jobs.selectors import pipeline_jobs, tags_served
from training.services import RunRefused


class Command(BaseCommand):
    help = "Teach a judge for Atlas, to be served and to be a teacher: rlwhf atlas-judge [--error-rate 0.1]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default=RECIPE, help=f"of the model (default: {RECIPE})")
        parser.add_argument(
            "--error-rate", type=float, default=0.0, help="share of labels that are wrong on purpose (default: 0)"
        )
        parser.add_argument("--seed", type=int, default=0, help="of the world, the labels and the training (default: 0)")
        parser.add_argument("--tag", default="cpu", help="hardware tag of the worker (default: cpu)")
        parser.add_argument("--steps", type=int, help="cut teaching short; its error is then what it is")
        parser.add_argument("--json", action="store_true", help="its error as JSON")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["error_rate"] <= 1:
            raise CommandError("--error-rate lies between 0 and 1.")
        if options["tag"] not in tags_served():
            raise CommandError(f"No worker takes jobs for {options['tag']}: start the site with `make run` in another terminal.")
        began = time.monotonic()
        wanted = JudgeSettings(
            name=options["name"],
            error_rate=options["error_rate"],
            seed=options["seed"],
            hardware_tag=options["tag"],
            max_steps=options["steps"],
        )
        try:
            pipeline = judge_teach(actor=acting_user(options), wanted=wanted)
        except RunRefused as refused:
            raise CommandError(str(refused)) from refused
        for job in pipeline_jobs(pipeline):
            succeeded(follow(job, self.stderr.write))
        found = judge_error_kept(pipeline)
        if options["json"]:
            self.stdout.write(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode())
            return
        self.stdout.write(f"Taught in {time.monotonic() - began:.0f} s. Of people whom it was taught nothing about:")
        self.stdout.write(f"  wrong by the rubric      {found.error}; {found.known_error:.3f} of the labels are")
        self.stdout.write(f"  says what it was taught  {found.agreement}; {found.malformed} replies cannot be read")
        self.stdout.write(f"Serve it with `rlwhf serve {wanted.name}`; what makes it a teacher: docs/teachers.md.")
