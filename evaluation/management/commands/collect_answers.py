"""rlwhf collect-answers: a model's answers become items, scored by their gold answers."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.models import Project
from evaluation.collecting import answers_collect
from jobs import child


class Command(BaseCommand):
    help = "Turn a model's answers into items scored by their gold answers"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--questions", required=True, type=Path, help="JSON lines with item_id, prompt and gold_answer")
        parser.add_argument("--answers", required=True, type=Path, help="the answers.jsonl that `training.generate` wrote")
        parser.add_argument("--source", required=True, help="name of the model that answered")
        parser.add_argument("--folder", type=Path, default=Path(), help="where the tuples are left (default: here)")
        parser.add_argument("--job", action="store_true", help="report as the child of a job")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["job"]:
            child.watch_parent()
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project “{options['project']}”.")
        collected = answers_collect(
            project=project,
            questions=options["questions"],
            answers=options["answers"],
            source=options["source"],
            folder=options["folder"],
            actor=acting_user(options),
        )
        if options["job"]:
            child.report_result(collected.as_dict(), folder=options["folder"])
        self.stdout.write(json.dumps(collected.as_dict()))
