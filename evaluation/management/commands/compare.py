"""rlwhf compare: two to six models on the same questions, each against the first."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from evaluation.comparing.service import NotComparable, comparison_of, differing_of
from evaluation.scorecards.table import comparison_text
from evaluation.selectors import comparison_csv, evaluations_of, scorecards_of_model


class Command(BaseCommand):
    help = "Put models side by side: rlwhf compare MODEL MODEL… (names, whose newest scorecard is taken, or scorecards' numbers)"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("models", nargs="+", help="name of a model, or number of a scorecard; the first is the measure")
        parser.add_argument("--slice", help="such as “B · easy” (default: all held-out people)")
        parser.add_argument("--csv", action="store_true", help="print every metric as CSV")
        parser.add_argument("--answers", action="store_true", help="print the questions on which they part ways, as JSON lines")

    def handle(self, *args: Any, **options: Any) -> None:
        evaluations = evaluations_of([_number(one) for one in options["models"]])
        try:
            comparison = comparison_of(evaluations, wanted=options["slice"])
            if options["answers"]:
                for question in differing_of(evaluations).inside(comparison.slice, "any"):
                    self.stdout.write(question.model_dump_json())
                return
        except NotComparable as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(comparison_csv(comparison) if options["csv"] else comparison_text(comparison))


def _number(of: str) -> int:
    if of.isdecimal():
        return int(of)
    newest = scorecards_of_model(of).values_list("pk", flat=True).first()
    if newest is None:
        raise CommandError(f"There is no scorecard of a model named “{of}”.")
    return newest
