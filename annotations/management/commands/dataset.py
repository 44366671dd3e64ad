"""rlwhf dataset: build, list and show dataset versions."""

from functools import partial
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument, fields_set
from annotations.dataset_files import PROVENANCE, SPLITS
from annotations.jobs import REFUSAL, result_of
from annotations.management.commands.import_items import project_known
from annotations.models import DatasetVersion
from annotations.services import (
    DatasetRefused,
    dataset_build,
    dataset_queue,
    dataset_reingest,
    dataset_write,
    file_dataset_build,
    file_dataset_queue,
    file_dataset_write,
)
from annotations.services.datasets import USES
from jobs import child
from jobs.follow import follow, succeeded


class Command(BaseCommand):
    help = (
        "Dataset versions: rlwhf dataset build --project NAME --name NAME --kind sft; rlwhf dataset list; rlwhf dataset show NAME"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        _add_build(actions.add_parser("build", help="make a version from a project's scores, or from files"))
        again = actions.add_parser(
            "reingest", help="queue a new version by the settings of another, from its source as that is now"
        )
        again.add_argument("version", metavar="NAME", help="the version whose source and settings are taken")
        again.add_argument("--name", required=True, help="of the new version")
        again.add_argument("--from", type=Path, metavar="FILE", dest="file", help="a file in the place of its source")
        again.add_argument("--source-format", default="", metavar="NAME", help="with --from: its format (default: as before)")
        again.add_argument("--wait", action="store_true", help="show progress, and end when the build does")
        add_user_argument(again)
        actions.add_parser("list", help="all versions, newest first")
        show = actions.add_parser("show", help="a version's report card")
        show.add_argument("name")
        export = actions.add_parser("export", help="a version's splits as files of your own")
        export.add_argument("name")
        export.add_argument("--out", type=Path, required=True, metavar="DIR")
        export.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl")
        export.add_argument("--provenance", action="store_true", help="each row says where it comes from")
        write = actions.add_parser("write", help="carry out a build that a page queued; for workers")
        write.add_argument("version", type=int)
        write.add_argument("--folder", type=Path, default=Path(), help="where to report (default: here)")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _build(self, options: dict[str, Any]) -> None:
        try:
            version = self._from_files(options) if options["files"] else self._from_project(options)
        except OSError as error:
            raise CommandError(_said(error)) from error
        except DatasetRefused as refused:
            raise CommandError(f"{refused} {refused.hint}".strip()) from refused
        self._wait(version, follows=options["queue"] and options["wait"])
        self._card(version)

    def _reingest(self, options: dict[str, Any]) -> None:
        try:
            file = (options["file"].name, options["file"].resolve(strict=True)) if options["file"] else None
            version = dataset_reingest(
                version=_known(options["version"]), name=options["name"], actor=acting_user(options), file=file,
                source_format=options["source_format"],
            )  # fmt: skip
        except OSError as error:
            raise CommandError(_said(error)) from error
        except DatasetRefused as refused:
            raise CommandError(f"{refused} {refused.hint}".strip()) from refused
        self._wait(version, follows=options["wait"])
        self._card(version)

    def _wait(self, version: DatasetVersion, *, follows: bool) -> None:
        if not follows or version.job is None:
            return
        succeeded(follow(version.job, self.stderr.write), name=version.name)
        version.refresh_from_db()

    def _from_project(self, options: dict[str, Any]) -> DatasetVersion:
        make = dataset_queue if options["queue"] else dataset_build
        return make(
            project=project_known(options["project"]), name=options["name"], kind=options["kind"], settings=_settings(options),
            actor=acting_user(options),
        )  # fmt: skip

    def _from_files(self, options: dict[str, Any]) -> DatasetVersion:
        settings = {
            "kind": options["kind"], "build": _settings(options), "shuffle": options["shuffle"],
            "source_format": options["source_format"], "source_settings": fields_set(options["source_set"], flag="--source-set"),
        }  # fmt: skip
        if options["queue"]:
            files = [(path.name, path.resolve(strict=True)) for path in options["files"]]
            return file_dataset_queue(name=options["name"], files=files, settings=settings, actor=acting_user(options))
        return file_dataset_build(name=options["name"], paths=options["files"], settings=settings, actor=acting_user(options))

    def _list(self, options: dict[str, Any]) -> None:
        for version in DatasetVersion.objects.select_related("project"):
            rows = sum(version.counts.values())
            state = version.verdict or "not built"
            self.stdout.write(f"{version.name:40} {version.kind:12} {rows:>8} rows  {state:8} {version.content_hash[:12]}")

    def _show(self, options: dict[str, Any]) -> None:
        version = _known(options["name"])
        self._card(version)
        self.stdout.write(orjson.dumps(version.report, option=orjson.OPT_INDENT_2).decode())

    def _export(self, options: dict[str, Any]) -> None:
        from annotations.parquet import export_version  # noqa: PLC0415 - pyarrow is heavy

        version = DatasetVersion.objects.ready().filter(name=options["name"]).first()
        if version is None:
            raise CommandError(f"There is no dataset version named “{options['name']}” that is built.")
        try:
            written = export_version(
                folder=Path(version.folder), out=options["out"], format_=options["format"], with_provenance=options["provenance"]
            )
        except OSError as error:
            if Path(str(error.filename)).name == PROVENANCE:
                raise CommandError(f"{version.name} does not say where its rows come from.") from error
            raise CommandError(_said(error)) from error
        for path, rows in written.items():
            self.stdout.write(f"{path}: {rows} rows")

    def _card(self, version: DatasetVersion) -> None:
        if not version.is_ready:
            self.stdout.write(f"{version.name}: not built yet.")
            return
        counts = ", ".join(f"{split} {version.counts.get(split, 0)}" for split in SPLITS)
        self.stdout.write(f"{version.name}: {counts}; gate: {version.verdict}; {version.folder}")

    def _write(self, options: dict[str, Any]) -> None:
        """In a job's child process: what it reports goes to the folder as it was named, so that a child whose worker was
        lost reports nowhere once its job goes on in another."""
        child.watch_parent()
        folder: Path = options["folder"]
        version = DatasetVersion.objects.select_related("project__rubric_version").get(pk=options["version"])
        try:
            if version.project is None:
                built = file_dataset_write(version=version, tell=partial(_tell, folder, "passes over the file"))
            else:
                tell = partial(_tell, folder, "items read")
                built = dataset_write(version=version, uses=folder.resolve() / USES, tell=tell)
        except FileNotFoundError as error:
            if version.project is not None:
                raise
            child.report_failure(reason=_said(error), hint="Upload it again.", kind="bad-data", folder=folder)
            raise SystemExit(1) from error
        except DatasetRefused as refused:
            child.write_json(folder / REFUSAL, refused.report)
            child.report_failure(reason=str(refused), hint=refused.hint, kind="bad-data", folder=folder)
            raise SystemExit(1) from refused
        child.report_result(result_of(built), folder=folder)


def _add_build(build: CommandParser) -> None:
    source = build.add_mutually_exclusive_group(required=True)
    source.add_argument("--project")
    source.add_argument("--from", nargs="+", type=Path, metavar="FILE", dest="files", help="files of feedback, of any format")
    build.add_argument("--name", required=True)
    build.add_argument("--kind", required=True, choices=DatasetVersion.Kind.values)
    build.add_argument("--seed", type=int, default=0)
    build.add_argument(
        "--consensus", choices=("median", "dawid-skene"), help="how several people's scores become one (default: median)"
    )
    build.add_argument(
        "--teachers",
        choices=("median", "weighted", "majority", "dawid-skene"),
        help="how several teachers' scores become one where no person scored (default: median)",
    )
    build.add_argument(
        "--teacher-deltas",
        type=float,
        metavar="0…1",
        help="how far teachers' rewards go to agree with people's rankings and imported preferences (default: not at all)",
    )
    build.add_argument("--force", action="store_true", help="build in spite of the gate; the report says so")
    build.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="such as min_gap=2; may be repeated")
    build.add_argument("--source-format", default="auto", metavar="NAME", help="with --from: the files' format")
    build.add_argument("--source-set", action="append", default=[], metavar="FIELD=VALUE", help="with --from: of the format")
    build.add_argument("--shuffle", action="store_true", help="with --from: rows in an order that the seed draws")
    build.add_argument("--queue", action="store_true", help="leave it to a worker")
    build.add_argument("--wait", action="store_true", help="with --queue: show progress, and end when the build does")
    add_user_argument(build)


def _known(name: str) -> DatasetVersion:
    version = DatasetVersion.objects.filter(name=name).first()
    if version is None:
        raise CommandError(f"There is no dataset version named “{name}”.")
    return version


def _said(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}."


def _tell(folder: Path, what: str, done: int, total: int) -> None:
    child.report_progress(done=done, total=total, note=f"{done} {what}", folder=folder)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    values = fields_set(options["set"])
    values["split"] = {"seed": options["seed"]} | values.get("split", {})
    if options["force"]:
        values["gate"] = values.get("gate", {}) | {"force": True}
    return values | {name: options[name] for name in ("consensus", "teachers", "teacher_deltas") if options[name]}
