"""rlwhf score-answers: a scorecard's answers become items of a project."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.models import Project
from evaluation.models import Evaluation
from evaluation.scorecards.to_items import WHICH, AnswersGone, answers_import
from evaluation.selectors import evaluation_get


class Command(BaseCommand):
    help = "Put a scorecard's answers into a project, to be scored: rlwhf score-answers NUMBER --project SLUG"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("evaluation", type=int, help="number of the scorecard, as its address has it")
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--which", choices=WHICH, default="all", help="by what its judge made of them (default: all)")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project “{options['project']}”.")
        try:
            evaluation = evaluation_get(options["evaluation"])
            made = answers_import(evaluation=evaluation, project=project, actor=acting_user(options), which=options["which"])
        except Evaluation.DoesNotExist as error:
            raise CommandError(f"There is no scorecard {options['evaluation']}.") from error
        except AnswersGone as gone:
            raise CommandError(str(gone)) from gone
        self.stdout.write(f"Queued as job {made.job_id}: {made.file_name} into {project.name}.")
