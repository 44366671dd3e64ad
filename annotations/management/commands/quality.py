"""rlwhf quality: agreement and each annotator's figures in a project."""

from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.jobs import QUALITY, quality_file
from annotations.management.commands.import_items import project_known
from annotations.models import QualityReport
from annotations.quality_compute import quality_compute, quality_run
from annotations.selectors.quality import Quality, quality_document, quality_latest, rater_names
from annotations.services import quality_queue
from jobs import child
from jobs.follow import follow, succeeded

LABELS = {"overall": "Overall score"}


class Command(BaseCommand):
    help = "How far annotators agree: rlwhf quality PROJECT [--json]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", nargs="?", help="name or address part of the project")
        parser.add_argument("--json", action="store_true", help="the whole report as JSON")
        parser.add_argument("--stored", action="store_true", help="show the newest report; compute none")
        parser.add_argument("--queue", action="store_true", help="leave it to a worker, and wait for it")
        parser.add_argument("--report", type=int, help="carry out a report that a page queued; for workers")
        parser.add_argument("--folder", type=Path, default=Path(), help="with --report: where to report (default: here)")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["report"]:
            _carry_out(options["report"], options["folder"])
            return
        if not options["project"]:
            raise CommandError("Say which project: rlwhf quality PROJECT")
        project = project_known(options["project"])
        if options["queue"]:
            report = quality_queue(project=project, actor=acting_user(options))
            assert report.job is not None
            succeeded(follow(report.job, self.stderr.write))
        elif not options["stored"]:
            quality_run(project=project, actor=acting_user(options))
        quality = quality_latest(project=project)
        if options["json"]:
            self.stdout.write(orjson.dumps(quality_document(quality), option=orjson.OPT_INDENT_2).decode())
        else:
            self._show(quality)

    def _show(self, quality: Quality) -> None:
        if quality.report is None:
            raise CommandError(f"There is no report on {quality.project.name} yet; leave out --stored to compute one.")
        data = quality.data
        self.stdout.write(
            f"{quality.project.name}: {data['scores_present']} scores of {data['items']} items by {data['people']} people"
        )
        self.stdout.write(f"\n{'ordinal α':28}{'value':>8}  {'95 % interval':18}{'items':>8}")
        for row in data["agreement"]:
            self.stdout.write(f"{LABELS.get(row['name'], row['name']):28}{_estimate(row['alpha'])}{row['alpha']['items']:>8}")
        if quality.is_outdated:
            self.stdout.write("Scores were revoked, or count again, since: leave out --stored to compute it anew.")
        names = rater_names(data)
        self.stdout.write(f"\n{'annotator':28}{'scores':>8}{'κ':>8}{'bias':>8}{'gold right':>12}{'seconds':>9}")
        for one in data["annotators"]:
            values = (one["kappa"]["value"], one["bias"]["value"], one["gold_exact"]["value"], one["seconds_median"])
            figures = "".join(f"{_number(value):>{width}}" for value, width in zip(values, (8, 8, 12, 9), strict=True))
            self.stdout.write(f"{names.get(one['rater'], ''):28}{one['n']:>8}{figures}")
            for signal in one["signals"]:
                self.stdout.write(f"    {signal['text']}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _estimate(one: dict[str, Any]) -> str:
    interval = one["interval"]
    shown = f"[{interval['low']:.2f}, {interval['high']:.2f}]" if interval else one["reason"] or ""
    return f"{_number(one['value']):>8}  {shown:18}"


def _carry_out(pk: int, folder: Path) -> None:
    """In a job's child process: reports go to the folder as it was named (see `dataset write`)."""
    child.watch_parent()
    report = QualityReport.objects.select_related("project__rubric_version").get(pk=pk)

    def tell(what: str, done: int, total: int) -> None:
        child.report_progress(done=done, total=total, note=what, folder=folder)

    computed = quality_compute(project=report.project, tell=tell)
    (folder / QUALITY).write_bytes(quality_file(computed))
    child.report_result({"scores": computed.data["scores"]}, folder=folder)
