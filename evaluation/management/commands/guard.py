"""rlwhf guard: did a model keep the abilities of the one it was trained from?"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.hardware import COMPUTE_TAGS
from training.placing import ModelNotHere, NamedModel, model_named

FAILED = 2


class Command(BaseCommand):
    help = "Check that a model kept its base's abilities, here and now: rlwhf guard MODEL --base BASE"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="name of a model of the site, or a model folder")
        parser.add_argument("--base", help="the same of the model to compare with (default: the one it was trained from)")
        parser.add_argument("--tag", default="cpu", choices=COMPUTE_TAGS, help="hardware to compute on (default: cpu)")
        parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
        parser.add_argument("--prompt-format", default="auto", choices=["auto", "chat", "plain"])
        parser.add_argument("--batch-size", type=int, default=128, help="questions asked together (default: 128)")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends with status 1 where abilities were lost, 2 where the models could not be asked, and 3 where it cannot be told, so
        that a script can stop there.
        """
        model = _named(options["model"])
        base = _named(options["base"]).path if options["base"] else model.base
        command = [sys.executable, "-m", "evaluation.guard", str(model.path), "--cache", str(_home() / "cache" / "answers")]
        command += ["--base", str(base)] if base else []
        for name in ("tag", "precision", "prompt_format", "batch_size"):
            command += [f"--{name.replace('_', '-')}", str(options[name])]
        command += ["--json"] if options["json"] else []
        self.stdout.flush()
        # A process of its own: models and their libraries never come into one of the site's.
        status = subprocess.run(command, check=False, cwd=settings.BASE_DIR).returncode
        if status:
            raise SystemExit(status)


def _home() -> Path:
    return Path(settings.RLWHF_HOME)


def _named(wanted: str) -> NamedModel:
    try:
        return model_named(wanted, _home() / "cache" / "guard")
    except ModelNotHere as error:
        raise CommandError(str(error), returncode=FAILED) from error
