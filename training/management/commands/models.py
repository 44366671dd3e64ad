"""rlwhf models: list models, or register one that was not trained here."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from training.selectors import artifact_list
from training.services import RunRefused, artifact_register


class Command(BaseCommand):
    help = "List models, or make a folder with a model known: rlwhf models [register NAME FOLDER]"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="the models that are ready (the default)")
        register = actions.add_parser("register", help="make a model folder known")
        register.add_argument("name")
        register.add_argument("folder", type=Path)
        add_user_argument(register)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "register":
            self._register(options)
            return
        artifacts = artifact_list()
        for artifact in artifacts:
            base = f"from {artifact.base.name}" if artifact.base else ""
            self.stdout.write(f"{artifact.name:<40} {artifact.kind:<8} {artifact.ready_at:%Y-%m-%d %H:%M} {base}")
        if not artifacts:
            self.stdout.write("No models yet. Train one with `rlwhf train`, or see the whole loop with `rlwhf demo`.")

    def _register(self, options: dict[str, Any]) -> None:
        try:
            artifact = artifact_register(name=options["name"], folder=options["folder"], actor=acting_user(options))
        except RunRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"{artifact.name} is known now: {artifact.folder}")
