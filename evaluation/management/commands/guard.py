"""rlwhf guard: did a model keep the abilities of the one it was trained from?"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from evaluation.guard.asking import guard_models
from evaluation.scorecards.findings_text import guard_lines
from training.exceptions import TrainingError
from training.models import Artifact

CANNOT_TELL = 3


class Command(BaseCommand):
    help = "Check that a model kept its base's abilities, here and now: rlwhf guard MODEL --base BASE"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="name of a model of the site, or a model folder")
        parser.add_argument("--base", help="the same of the model to compare with (default: the one it was trained from)")
        parser.add_argument("--batch-size", type=int, default=128, help="questions asked together (default: 128)")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends with status 1 where abilities were lost, and 3 where that cannot be told, so that a script can stop there."""
        model, own_base = _folder(options["model"])
        base = _folder(options["base"])[0] if options["base"] else own_base
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            self.stderr.write(f"{done} replies", ending="\r")

        try:
            report = guard_models(
                model,
                base,
                cache=Path(settings.RLWHF_HOME) / "cache" / "answers",
                batch_size=options["batch_size"],
                tell=tell,
            )
        except TrainingError as error:
            raise CommandError(f"{error.reason} {error.hint}".strip()) from error
        self.stdout.write(report.model_dump_json(indent=1) if options["json"] else "\n".join(guard_lines(report)))
        if base and not report.passed:
            raise SystemExit(CANNOT_TELL if report.passed is None else 1)


def _folder(wanted: str) -> tuple[str, str | None]:
    """The folder of a model, and that of its base where it has one."""
    if Path(wanted).is_dir():
        return wanted, None
    found = Artifact.objects.select_related("base").filter(name=wanted).first()
    if found is None:
        raise CommandError(f"There is no model named “{wanted}”, and no such folder; `rlwhf models` lists models.")
    return str(found.model_folder), str(found.base.model_folder) if found.base else None
