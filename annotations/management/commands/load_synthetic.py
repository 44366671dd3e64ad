"""rlwhf load-synthetic: fill a site with made-up items and scores, to measure it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from annotations.synthetic import synthetic_load


class Command(BaseCommand):
    help = "Fill a project with made-up items and scores: rlwhf load-synthetic --items 100000 --scores 200000"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--items", type=int, default=100_000)
        parser.add_argument("--scores", type=int, default=200_000)
        parser.add_argument("--people", type=int, default=20)
        parser.add_argument("--project", default="Synthetic")
        parser.add_argument("--password", help="so that the made-up people can log in (default: they cannot)")
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            project = synthetic_load(
                name=options["project"],
                items=options["items"],
                scores=options["scores"],
                people=options["people"],
                password=options["password"],
                seed=options["seed"],
                tell=self.stderr.write,
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        with connection.cursor() as cursor:
            # As autovacuum would in time: without statistics the first queries are planned for an empty table.
            cursor.execute("ANALYZE")
        self.stdout.write(f"{project.name}: {options['items']} items, {options['scores']} scores by {options['people']} people.")
