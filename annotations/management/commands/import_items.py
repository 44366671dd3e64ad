"""rlwhf import-items: read RLWHF tuples into a project."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.models import Import, Project
from annotations.services import import_carry_out, item_import, project_create
from jobs import child


class Command(BaseCommand):
    help = "Read RLWHF tuples from JSON lines: rlwhf import-items --project NAME FILE…"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
        parser.add_argument("--project", help="name or address part of the project")
        parser.add_argument("--create", action="store_true", help="make the project where there is none of that name")
        parser.add_argument("--rater", default="imported", help="who gave the scores in the file (default: imported)")
        parser.add_argument("--import", type=int, dest="record", help="carry out an import that a page queued; for workers")
        parser.add_argument("--folder", type=Path, default=Path(), help="with --import: where to report (default: here)")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["record"]:
            _carry_out(options["record"], options["folder"])
            return
        if not options["files"] or not options["project"]:
            raise CommandError("Say what to read, and where to: rlwhf import-items --project NAME FILE…")
        actor = acting_user(options)
        project = project_named(options["project"])
        if project is None:
            if not options["create"]:
                raise CommandError(f"There is no project “{options['project']}”; --create makes it.")
            project = project_create(name=options["project"], actor=actor)
        for path in options["files"]:
            self._import(project, path, options["rater"], actor)

    def _import(self, project: Project, path: Path, rater: str, actor: Any) -> None:
        try:
            report = item_import(project=project, path=path, actor=actor, rater_name=rater)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        self.stdout.write(
            f"{path}: {report.lines} lines, {report.items_added} new items ({report.items_known} known), "
            f"{report.scores_added} new scores ({report.scores_known} known), {report.refused} refused."
        )
        if report.items_deleted:
            self.stdout.write(f"  {report.items_deleted} lines about items that were deleted here: they stay deleted.")
        for reason, count in report.reasons.items():
            self.stdout.write(f"  {count} × {reason}")
        record = Import.objects.filter(project=project).first()
        if record and record.refused_path:
            self.stdout.write(f"  every refused line: {record.refused_path}")


def project_named(name: str) -> Project | None:
    return Project.objects.filter(name=name).first() or Project.objects.filter(slug=name).first()


def project_known(name: str) -> Project:
    """Raises CommandError where there is none."""
    project = project_named(name)
    if project is None:
        raise CommandError(f"There is no project “{name}”. `rlwhf projects list` lists them.")
    return project


def _carry_out(pk: int, folder: Path) -> None:
    """In a job's child process: reports go to the folder as it was named (see `dataset write`)."""
    child.watch_parent()
    record = Import.objects.select_related("project", "requested_by").get(pk=pk)
    if record.finished_at:  # a worker that was lost had come to the end
        child.report_result(record.report, folder=folder)
        return

    def tell(done: int, total: int) -> None:
        child.report_progress(done=done, total=total, note=f"{done / 1e6:.1f} of {total / 1e6:.1f} MB read", folder=folder)

    try:
        report = import_carry_out(record=record, path=Path(record.stored_path), tell=tell)
    except OSError as error:
        child.report_failure(
            reason=f"{record.file_name} cannot be read: {error.strerror}.",
            hint="Upload it again.",
            kind="bad-data",
            folder=folder,
        )
        raise SystemExit(1) from error
    child.report_result(asdict(report), folder=folder)
