"""Dataset versions: from a project's scores, or from rows that another app made."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, cast

from django.conf import settings as site
from django.db import transaction
from django.utils import timezone
from pydantic import BaseModel, ValidationError

from accounts import audit
from accounts.models import User
from annotations.anonymise_beside import AnonymiserBeside
from annotations.build import BuildSettings
from annotations.dataset_files import SPLITS, Files, Row, SplitSettings, Spool, Written, write_dataset_version, write_version
from annotations.gate import Gate, GateReport, GateSettings, Kind, Tokens, Verdict, worst
from annotations.models import DatasetVersion, Project
from annotations.provenance import Sourced, provenance_of, write_sourced
from annotations.ranking_rows import ranked_rows
from annotations.ranking_stream import RankingStream
from annotations.rows import rows_of
from annotations.services.provenance import uses_publish
from annotations.texts import Changes
from annotations.tokens import TokenizerMissing, tokens_by
from annotations.tuple_stream import TupleStream
from jobs.models import Job, Pipeline
from jobs.services import job_queue

# Parts of the settings, for one that was asked for outside its part.
PARTS: dict[str, type[BaseModel]] = {"gate": GateSettings, "split": SplitSettings}
# The address of the build form.
RESERVED = "new"
# What a build leaves for the table of uses, beside its job's other files.
USES = "uses.copy"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
Tell = Callable[[int, int], None]


class DatasetRefused(ValueError):  # noqa: N818 - reads as what happened
    """The version is not built; the message says why, `hint` how to mend it, `report` holds the counts."""

    def __init__(self, message: str, *, hint: str = "", field: str = "name", report: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.field = field
        self.report = report or {}


@dataclass(frozen=True)
class Built:
    """A folder that was written and not yet published."""

    written: Written
    verdict: Verdict
    report: dict[str, Any] = field(default_factory=dict)
    # What goes into the table of uses when it is published; None where that is not known.
    uses: Path | None = None


def dataset_build(
    *, project: Project, name: str, kind: str, settings: BuildSettings | Mapping[str, Any], actor: User | None
) -> DatasetVersion:
    """Build a version from a project's scores, at once. Raises DatasetRefused."""
    version = version_asked(
        name=name, kind=kind, actor=actor, project=project, settings=build_settings(settings, project=project)
    )
    datasets_root().mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".uses.", dir=datasets_root()) as aside:
        try:
            built = dataset_write(version=version, uses=Path(aside) / USES)
        except DatasetRefused as refused:
            dataset_refuse(version=version, report=refused.report)
            raise
        return dataset_publish(version=version, built=built)


@transaction.atomic
def dataset_queue(
    *,
    project: Project,
    name: str,
    kind: str,
    settings: BuildSettings | Mapping[str, Any],
    actor: User | None,
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
) -> DatasetVersion:
    """Queue the building of a version, once the jobs in `after` have succeeded. Raises DatasetRefused."""
    asked = build_settings(settings, project=project)
    version = version_asked(name=name, kind=kind, actor=actor, project=project, settings=asked)
    version.job = job_queue(
        kind="annotations.dataset",
        title=f"Build dataset {name}",
        payload={"dataset": version.pk},
        hardware_tag="site",
        actor=actor,
        after=after,
        pipeline=pipeline,
    )
    version.save(update_fields=["job"])
    return version


def dataset_from_rows(
    *,
    name: str,
    kind: str,
    rows: Mapping[str, Iterable[Row]],
    source: str,
    actor: User | None,
    settings: Mapping[str, Any] | None = None,
    gate: GateSettings | None = None,
    parents: Sequence[DatasetVersion] = (),
) -> DatasetVersion:
    """A version from rows that another app made, already split (`{"train": …, "eval": …}`), in the order given.

    Rows may repeat: whoever made them meant it. Raises DatasetRefused.
    """
    version = version_asked(name=name, kind=kind, actor=actor, source=source, asked=dict(settings or {}))
    return dataset_publish(version=version, built=rows_write(version=version, rows=rows, gate=gate, parents=parents))


def rows_write(
    *,
    version: DatasetVersion,
    rows: Mapping[str, Iterable[Row]],
    gate: GateSettings | None = None,
    parents: Sequence[DatasetVersion] = (),
) -> Built:
    """Write the folder of a version that was asked for, from rows that are there, as `dataset_from_rows` has them.

    Raises DatasetRefused.
    """
    looked = Gate(gate or GateSettings(duplicates="keep"))
    splits = {split: _passing(looked, cast(Kind, version.kind), rows.get(split, ()), split) for split in SPLITS}
    # The gate must have seen every row before there is a verdict, so rows wait on disk.
    spools = {split: _spooled(of_split) for split, of_split in splits.items()}
    try:
        report = looked.report()
        _refuse_if_bad(version, report, {})
        told = {"gate": report.model_dump(), "verdict": report.verdict}
        written = write_dataset_version(
            root=datasets_root(), name=version.name, kind=version.kind, report=told,
            splits={split: spool.rows() for split, spool in spools.items()},
            settings=version.settings, sources={"rows": version.source}, parents=[one.content_hash for one in parents],
        )  # fmt: skip
    finally:
        for spool in spools.values():
            spool.close()
    version.parents.set(parents)
    return Built(written, report.verdict, told | {"rows": sum(written.counts.values())})


def dataset_write(*, version: DatasetVersion, tell: Tell | None = None, uses: Path | None = None) -> Built:
    """Write the folder of a version that was asked for, and to `uses` what goes into the table of uses; the version itself is
    not touched. Raises DatasetRefused.
    """
    assert version.project is not None
    wanted = build_settings(version.settings)
    with_spool = Spool(datasets_root())
    try:
        report = _spool_rows(version.project, cast(Kind, version.kind), wanted, with_spool, tell=tell)
        verdict: Verdict = report["verdict"]
        if verdict == "refused":
            raise DatasetRefused(report["message"], hint=HINT, report=report, field="project")

        def write(aside: Path) -> Files:
            with uses.open("wb") if uses else nullcontext() as used:
                splits = with_spool.splits_and_more(wanted.split)
                return write_sourced(folder=aside, splits=splits, uses=used, version=version.pk), report

        written = write_version(
            root=datasets_root(), name=version.name, kind=version.kind, write=write, settings=version.settings,
            sources={"project": version.project.name, "items": report["items"], "rubric": str(version.project.rubric_version)},
        )  # fmt: skip
    finally:
        with_spool.close()
    return Built(written, verdict, report | {"splits": written.counts}, uses)


@transaction.atomic
def dataset_publish(*, version: DatasetVersion, built: Built) -> DatasetVersion:
    """Say that a version is written and may be used. Raises DatasetRefused where one of that name is there by now."""
    if DatasetVersion.objects.select_for_update().values_list("ready_at", flat=True).get(pk=version.pk) is not None:
        raise DatasetRefused(f"“{version.name}” has been built in the meantime; versions never change, so choose another name.")
    version.folder, version.content_hash = str(built.written.folder), built.written.content_hash
    version.counts, version.verdict, version.report = built.written.counts, built.verdict, built.report
    version.ready_at = timezone.now()
    version.save()
    if built.uses:
        uses_publish(version=version, uses=built.uses)
    detail: dict[str, object] = {"hash": version.content_hash, "verdict": version.verdict}
    audit.record(actor=version.requested_by, action="annotations.dataset_built", target=version, detail=detail)
    return version


def dataset_preview(*, project: Project, kind: str, settings: BuildSettings | Mapping[str, Any]) -> dict[str, Any]:
    """The report that a build with these settings would give, without writing anything that stays."""
    wanted = build_settings(settings, project=project)
    spool = Spool(datasets_root())
    try:
        with AnonymiserBeside() if wanted.gate.anonymise else nullcontext() as changes:
            report = _spool_rows(project, cast(Kind, kind), wanted, spool, changes=changes)
        return report | {"splits": spool.counts(wanted.split)}
    except ChildProcessError as error:
        raise DatasetRefused(f"{error} Building may still work.", field="gate.anonymise") from error
    finally:
        spool.close()


def build_settings(settings: BuildSettings | Mapping[str, Any], *, project: Project | None = None) -> BuildSettings:
    """Checked settings, with the project's gate where they say nothing else. Raises DatasetRefused that names the field."""
    if isinstance(settings, BuildSettings):
        settings = settings.model_dump(exclude_unset=True)
    if project and project.gate:
        settings = {**settings, "gate": {**project.gate, **settings.get("gate", {})}}
    try:
        return BuildSettings.model_validate(settings)
    except ValidationError as error:
        raise setting_refused(error) from error


def setting_refused(error: ValidationError) -> DatasetRefused:
    """The refusal of the first setting at fault."""
    first = error.errors()[0]
    *above, last = [str(part) for part in first["loc"]] or ["settings"]
    where = ".".join([*above, last])
    if first["type"] != "extra_forbidden":
        return DatasetRefused(f"{where}: {first['msg']}", field=where)
    meant = next((part for part, model in PARTS.items() if last in model.model_fields and part not in above), None)
    there = f" Write {'.'.join([*above, meant, last])}." if meant else ""
    return DatasetRefused(f"{where}: there is no such setting.{there}", field=where)


def _tokens(gate: GateSettings) -> Tokens:
    try:
        return tokens_by(gate)
    except TokenizerMissing as error:
        raise DatasetRefused(str(error), field="gate.tokenizer") from error


def datasets_root() -> Path:
    return Path(site.RLWHF_HOME) / "datasets"


HINT = (
    "Look at the drops by reason. Mend or leave out what is wrong, loosen the gate, or force the build: the report will say so."
)


BY_COMPARING = "Answers are compared here, not scored: what people say of them gives preference pairs, so choose those."


def _spool_rows(
    project: Project, kind: Kind, wanted: BuildSettings, spool: Spool, *, tell: Tell | None = None, changes: Changes | None = None
) -> dict[str, Any]:
    """Items → tuples → gate → rows → gate, onto the spool; returns the report."""
    by_rankings = kind == "preference" and _pairs_come_from_rankings(project, wanted)
    unscored = kind == "prompts" or by_rankings
    loosened: dict[str, Any] = {"require_reward": False} if unscored else {}
    if by_rankings:  # the same words by two models are one answer
        # Rankings are of the answers as they are: names are replaced in the rows that are made of them.
        loosened |= {"duplicates": "keep", "anonymise": False}
    counted = _tokens(wanted.gate)
    tuples = Gate(wanted.gate.model_copy(update=loosened), counted, changes)
    rows = Gate(wanted.gate, counted, changes)
    stream: TupleStream
    if by_rankings:
        stream = ranked = RankingStream(project=project, settings=wanted, gate=tuples)
        built = _rows_by_rankings(ranked, wanted)
    else:
        stream = TupleStream(project=project, settings=wanted, gate=tuples, unscored=unscored)
        built = ((row, told) for told in stream.sourced() for row in rows_of(kind, [told.group], wanted))
    for number, (row, told) in enumerate(built, start=1):
        beside = provenance_of(kind, row, told)
        whole = rows.without_names(row) if by_rankings and wanted.gate.anonymise else row
        if rows.row(kind, whole, f"row {number}"):
            spool.add(whole, beside)
        if tell and number % 1000 == 0:
            tell(stream.items, project.item_count)
    of_tuples, of_rows = tuples.report(), rows.report()
    message = of_tuples.message if of_tuples.verdict == "refused" else of_rows.message
    if of_tuples.verdict != "refused" and not of_rows.seen:
        message = f"{of_tuples.valid} tuples pass the gate, but none of them gives a {kind} row."
    if not of_rows.seen and not unscored and project.mode == Project.Mode.COMPARE:
        message = f"{message} {BY_COMPARING}"
    return {
        "items": stream.items,
        "left_out": dict(stream.left_out.most_common()),
        "rewards_by": dict(stream.methods.most_common()),
        **({"median_because": dict(stream.median_because.most_common())} if stream.median_because else {}),
        **({"teacher_deltas": {"moved": len(stream.moved), "mean": fmean(stream.moved)}} if stream.moved else {}),
        **({"teachers_tied": stream.teachers_tied} if stream.teachers_tied else {}),
        **({"teacher_weights": dict(sorted(stream.teacher_weights.items()))} if stream.teacher_weights else {}),
        **({"revoked": {"scores": stream.revoked.total(), "by": stream.revocations}} if stream.revocations else {}),
        **({"rankings": stream.rankings} if isinstance(stream, RankingStream) else {}),
        "gate": of_tuples.model_dump(),
        "row_gate": of_rows.model_dump(),
        "rows": of_rows.valid,
        "verdict": worst(of_tuples.verdict, of_rows.verdict),
        "message": message,
    }


def _rows_by_rankings(stream: RankingStream, wanted: BuildSettings) -> Iterator[tuple[Row, Sourced]]:
    for ranked, told in stream.ranked():
        rows = ranked_rows(
            [ranked],
            min_agreement=wanted.min_agreement,
            min_votes=wanted.min_people,
            max_pairs=wanted.max_pairs,
            fill=wanted.fill,
        )
        yield from ((row, told) for row in rows)


def _pairs_come_from_rankings(project: Project, wanted: BuildSettings) -> bool:
    return wanted.pairs == "rankings" or (wanted.pairs == "auto" and project.mode == Project.Mode.COMPARE)


def version_asked(
    *,
    name: str,
    kind: str,
    actor: User | None,
    project: Project | None = None,
    settings: BuildSettings | None = None,
    source: str = "",
    asked: dict[str, Any] | None = None,
) -> DatasetVersion:
    """The row of a version that is to be built; a name whose build came to nothing may be used again."""
    if not NAME.fullmatch(name) or name == RESERVED:
        raise DatasetRefused("The name may hold small letters, digits and dashes, and starts with a letter or digit.")
    if kind not in DatasetVersion.Kind.values:
        raise DatasetRefused(f"“{kind}” is no kind of dataset; there are {', '.join(DatasetVersion.Kind.values)}.", field="kind")
    standing = DatasetVersion.objects.filter(name=name).select_related("job").first()
    if standing and (standing.is_ready or (standing.job and standing.job.state not in ("failed", "stopped"))):
        raise DatasetRefused(f"There is a dataset version named “{name}” already; versions never change, so choose another name.")
    values: dict[str, Any] = {
        "kind": kind,
        "project": project,
        "settings": settings.model_dump(mode="json") if settings else asked or {},
        "source": source,
        "requested_by": actor,
        "verdict": "",
        "report": {},
        "job": None,
    }
    version, _ = DatasetVersion.objects.update_or_create(name=name, defaults=values)
    detail: dict[str, object] = {"kind": kind, "forced": _is_forced(values["settings"])}
    audit.record(actor=actor, action="annotations.dataset_requested", target=version, detail=detail)
    return version


def _is_forced(settings: Mapping[str, Any]) -> bool:
    """Whether a build is to go on whatever its gate says, from a project or from files."""
    asked = settings.get("pipeline", {}).get("build", settings)
    return bool(asked.get("gate", {}).get("force"))


def dataset_refuse(*, version: DatasetVersion, report: dict[str, Any]) -> None:
    """Keep the report of a build that the gate refused, so that its page can say why."""
    DatasetVersion.objects.filter(pk=version.pk).update(verdict="refused", report=report)


def _refuse_if_bad(version: DatasetVersion, report: GateReport, more: dict[str, Any]) -> None:
    if report.verdict == "refused":
        document = {"gate": report.model_dump(), "verdict": report.verdict, "message": report.message, **more}
        dataset_refuse(version=version, report=document)
        raise DatasetRefused(report.message, hint=HINT, field="rows", report=document)


def _passing(gate: Gate, kind: Kind, rows: Iterable[Row], split: str) -> Iterator[Row]:
    return (row for number, row in enumerate(rows, start=1) if gate.row(kind, row, f"{split} row {number}"))


def _spooled(rows: Iterable[Row]) -> Spool:
    spool = Spool(datasets_root(), grouped=False)
    for row in rows:
        spool.add(row)
    return spool
