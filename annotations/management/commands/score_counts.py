"""rlwhf score-counts: are the counts that pages read those of the scores? And counting anew."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.services.rollups import score_counts_differing, score_counts_fold, score_counts_rebuild

SHOWN = 20


class Command(BaseCommand):
    help = "Hold the counts of scores against a full recount: rlwhf score-counts [--rebuild | --fold]"

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--rebuild", action="store_true", help="count all scores anew")
        what.add_argument("--fold", action="store_true", help="draw rows of the same kind together")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rebuild"]:
            rebuilt = score_counts_rebuild(actor=acting_user(options))
            self.stdout.write(f"{rebuilt.scores:,} scores counted in {rebuilt.rows:,} rows")
            return
        if options["fold"]:
            self.stdout.write(f"{score_counts_fold():,} sums drawn together")
        differing = score_counts_differing()
        for one in differing[:SHOWN]:
            self.stderr.write(f"differs: {one}")
        if differing:
            raise CommandError(f"{len(differing)} counts differ from a recount; rlwhf score-counts --rebuild mends that.")
        self.stdout.write("the counts are those of a full recount")
