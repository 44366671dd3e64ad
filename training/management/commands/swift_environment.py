"""rlwhf swift-environment: make the environment that ms-swift runs in, here and now, or say where it lies."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from training.backends.swift.environment import ensure, environment
from training.virtual_environments import EnvironmentFailed

PART = 0.05


class Command(BaseCommand):
    help = "Make the environment of ms-swift on this machine (2 GB, some minutes), unless it is there: rlwhf swift-environment"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--show", action="store_true", help="only say where it lies, and whether it is ready")
        parser.add_argument("--json", action="store_true", help="as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        told = -1.0

        def tell(done: int, total: int, note: str) -> None:
            nonlocal told
            share = done / total if total else 0.0
            if share >= told + PART:
                told = share
                self.stderr.write(f"{share:4.0%}  {note}")

        try:
            found = environment() if options["show"] else ensure(tell)
        except EnvironmentFailed as error:
            raise CommandError(f"{error.reason} {error.hint}".strip()) from error
        described = found.described()
        if options["json"]:
            self.stdout.write(json.dumps(described, indent=2))
            return
        state = "ready" if described["ready"] else "not made yet: rlwhf swift-environment"
        self.stdout.write(f"ms-swift {described['ms-swift']}, {described['packages']} packages: {state}\n{described['folder']}")
