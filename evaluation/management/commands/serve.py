"""rlwhf serve: local models as a service that speaks OpenAI's protocol."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.hardware import COMPUTE_TAGS
from training.placing import ModelNotHere, NamedModel, model_named


class Command(BaseCommand):
    help = "Serve models of this machine over OpenAI's protocol: rlwhf serve MODEL… [--port 8001]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("models", nargs="+", metavar="MODEL", help="name of a model of the site, or a folder")
        parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, for this machine alone")
        parser.add_argument("--port", type=int, default=8001, help="0: any that is free (default: 8001)")
        parser.add_argument("--tag", default="cpu", choices=COMPUTE_TAGS, help="hardware to compute on (default: cpu)")
        parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
        parser.add_argument("--batch-size", type=int, default=32, help="requests answered together at most (default: 32)")

    def handle(self, *args: Any, **options: Any) -> None:
        named = [f"{one.name}={one.path}" for one in map(_named, options["models"])]
        how = [
            part for name in ("host", "port", "tag", "precision", "batch_size")
            for part in (f"--{name.replace('_', '-')}", str(options[name]))
        ]  # fmt: skip
        self.stdout.flush()
        # This process becomes the service: nothing of the site is in it.
        os.execv(sys.executable, [sys.executable, "-m", "evaluation.serving", *named, *how])  # noqa: S606 (no shell is meant)


def _named(wanted: str) -> NamedModel:
    try:
        return model_named(wanted, Path(settings.RLWHF_HOME) / "cache" / "serving")
    except ModelNotHere as error:
        raise CommandError(str(error)) from error
