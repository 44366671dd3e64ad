"""rlwhf gold-score: score every item of a project that has a gold answer."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.management.commands.import_items import project_known
from annotations.services import gold_score


class Command(BaseCommand):
    help = "Score every item that has a gold answer: rlwhf gold-score --project NAME"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="name or address part of the project")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        scored = gold_score(project=project_known(options["project"]), actor=acting_user(options))
        self.stdout.write(
            f"{scored} scores by gold answers." if scored else "Every item with a gold answer has its score already."
        )
