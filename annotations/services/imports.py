"""Import of files of feedback, in any format that is known: streaming, in chunks that are written whole or not at all, so that an
import that is cut off goes on where it was; and the same file twice adds nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings as site
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Import, Project
from annotations.services.alone import alone
from annotations.services.comparing import comparisons_open
from annotations.services.import_batch import Batch
from annotations.services.import_refusals import Refusals
from annotations.sources.reading import Source, file_hash, open_source, tuples_in
from annotations.sources.records import Converted, Refused
from jobs.models import ENDED, Job
from jobs.services import job_queue, job_requeue

# Written in one statement, and in one transaction: what a cut-off costs at most.
BATCH_LINES = 1000
BATCH_CHARACTERS = 16 << 20
CHUNK_RECORDS = 10_000
CHUNK_CHARACTERS = 128 << 20
# Files up to this size are read while the person waits.
DIRECT_BYTES = 512 << 10
TUPLES = "tuples"
# A file can be wrong in as many ways as it has lines; the full list is in the refused-lines file.
REASONS_TOLD = 50

Tell = Callable[[int, int], None]


class ImportRefused(ValueError):  # noqa: N818 - reads as what happened
    """The import cannot be done, or not gone on with; the message says why."""


@dataclass
class ImportReport:
    """What became of a file's records; `reasons` counts the refused ones."""

    file: str
    lines: int = 0
    items_added: int = 0
    items_known: int = 0
    scores_added: int = 0
    scores_known: int = 0
    refused: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    # Lines about items that were deleted here: they stay deleted, and their scores are not taken.
    items_deleted: int = 0
    # Those that the undo of an import had deleted come back.
    items_restored: int = 0
    rankings_added: int = 0
    rankings_known: int = 0
    # Parts of records that the format leaves out on purpose, by name.
    left_out: dict[str, int] = field(default_factory=dict)
    # The import that read the same file before, if one did.
    read_before: int | None = None


def item_import(
    *,
    project: Project,
    path: Path,
    actor: User | None,
    rater_name: str = "imported",
    tell: Tell | None = None,
    source_format: str = TUPLES,
    settings: Mapping[str, Any] | None = None,
) -> ImportReport:
    """Read a file (or folder) of feedback into a project, at once.

    A reward becomes a score by the teacher `rater_name` (or by the one that the record names), given at its `update_timestamp`;
    an order of answers becomes a ranking by that teacher. Raises OSError where the file cannot be read, SourceError where it is
    not what the settings say.
    """
    record = Import.objects.create(
        project=project, file_name=path.name[:200], rater_name=rater_name, requested_by=actor,
        source_format=source_format, settings=dict(settings or {}),
    )  # fmt: skip
    return import_carry_out(record=record, path=path, tell=tell)


@transaction.atomic
def import_queue(
    *,
    project: Project,
    file_name: str,
    stored_path: Path,
    actor: User | None,
    rater_name: str = "imported",
    source_format: str = TUPLES,
    settings: Mapping[str, Any] | None = None,
) -> Import:
    """Queue the import of a stored file as a background job."""
    record = Import.objects.create(
        project=project, file_name=file_name[:200], stored_path=str(stored_path), rater_name=rater_name, requested_by=actor,
        source_format=source_format, settings=dict(settings or {}),
    )  # fmt: skip
    return _queued(record, actor)


def _queued(record: Import, actor: User | None) -> Import:
    job: Job = job_queue(
        kind="annotations.import",
        title=f"Import {record.file_name} into {record.project.name}",
        payload={"import": record.pk},
        hardware_tag="site",
        actor=actor,
    )
    record.job = job
    record.save(update_fields=["job"])
    return record


@transaction.atomic
def import_resume(*, record: Import, actor: User | None) -> Import:
    """Have a worker go on with an import that was cut off. Raises ImportRefused where there is nothing to go on with."""
    record = Import.objects.select_for_update(of=("self",)).select_related("job", "project").get(pk=record.pk)
    if record.finished_at or record.undone_at:
        raise ImportRefused(f"The import of {record.file_name} has come to its end.")
    if record.job is not None and record.job.state not in ENDED:
        raise ImportRefused(f"The import of {record.file_name} is under way.")
    if not record.stored_path or not Path(record.stored_path).exists():
        raise ImportRefused(f"{record.file_name} is not kept here. Import it again: what is here already is known.")
    if record.job is None:
        return _queued(record, actor)
    job_requeue(job=record.job, actor=actor)
    return record


def import_carry_out(*, record: Import, path: Path, tell: Tell | None = None) -> ImportReport:
    """Read a file for an import that was asked for, or go on with one that was cut off: called by the job's process, or directly
    for a small file. Where the file as a whole is refused, the import is given up: nothing came of it.
    """
    try:
        source = open_source(path, source_format=record.source_format, settings=record.settings)
        _begin(record, source, path)
    except (OSError, ValueError):
        if not record.records_done and record.job_id is None:
            record.delete()
        raise
    with Refusals(record, import_folder()) as refusals:
        run = _Run(record, source, refusals, tell)
        while run.chunk():
            pass
        run.finish()
    if not run.report.refused:
        refusals.path.unlink()
    if record.stored_path:
        Path(record.stored_path).unlink(missing_ok=True)
    return run.report


def _begin(record: Import, source: Source, path: Path) -> None:
    """Write down what is read and how. Raises ImportRefused where what was begun was another file."""
    hashed = file_hash(path)
    if record.records_done and record.content_hash != hashed:
        raise ImportRefused(f"{record.file_name} is not the file that was begun: its content has changed.")
    record.content_hash, record.source_format = hashed, source.format.name
    record.save(update_fields=["content_hash", "source_format"])


class _Run:
    """One process that carries out an import, from where it stands to its end."""

    def __init__(self, record: Import, source: Source, refusals: Refusals, tell: Tell | None) -> None:
        self._record, self._source, self._refusals, self._tell = record, source, refusals, tell
        self._records: Iterator[Converted | Refused] = source.read(skip=record.records_done)
        known = {key: value for key, value in record.report.items() if key in ImportReport.__dataclass_fields__}
        self.report = ImportReport(**{"file": record.file_name} | known)
        if not record.records_done:
            self.report.read_before = _read_before(record)

    @transaction.atomic
    def chunk(self) -> bool:
        """Take some thousand records and write down how far it is, in one transaction. False at the end of the file."""
        project = alone(self._record.project_id)
        record = self._held()
        batch = Batch(project=project, rater_name=record.rater_name, source=record)
        taken, weight, is_end = 0, 0, True
        for one in self._records:
            taken += 1
            weight += self._take(batch, one)
            if len(batch) >= BATCH_LINES or batch.weight >= BATCH_CHARACTERS:
                batch.flush()
                self._told()
            if taken >= CHUNK_RECORDS or weight >= CHUNK_CHARACTERS:
                is_end = False
                break
        batch.flush()
        batch.close()
        self._write_down(record, batch, taken)
        self._told()
        return not is_end

    def _take(self, batch: Batch, one: Converted | Refused) -> int:
        """One record into the batch, or among the refused; returns its weight in characters."""
        if isinstance(one, Converted):
            tuples = tuples_in(one)
            if isinstance(tuples, list):
                before = batch.weight
                problem = batch.add_record(tuples, one.place, ranks=one.ranks, ranker=one.ranker)
                if problem is None:
                    for name, count in one.left_out.items():
                        self.report.left_out[name] = self.report.left_out.get(name, 0) + count
                    return batch.weight - before
                tuples = Refused(one.place, problem)
            one = tuples
        self._refusals.add(one.place, one.problem)
        self.report.refused += 1
        return 0

    def _held(self) -> Import:
        """The import's row, for this transaction alone. Raises ImportRefused where somebody else went on with it."""
        record = Import.objects.select_for_update(of=("self",)).get(pk=self._record.pk)
        if record.undone_at or record.finished_at or record.records_done != self._record.records_done:
            raise ImportRefused(f"The import of {record.file_name} was taken back, or another process has gone on with it.")
        return record

    def _write_down(self, record: Import, batch: Batch, taken: int) -> None:
        for name, count in asdict(batch.counts).items():
            setattr(self.report, name, getattr(self.report, name) + count)
        self.report.lines += taken
        self.report.reasons = dict(self._refusals.reasons.most_common(REASONS_TOLD))
        record.records_done += taken
        for name, span in (("item", batch.spans.items), ("score", batch.spans.scores)):
            if span.first is not None:
                first, last = getattr(record, f"first_{name}"), getattr(record, f"last_{name}")
                setattr(record, f"first_{name}", span.first if first is None else min(first, span.first))
                setattr(record, f"last_{name}", span.last if last is None else max(last, span.last or 0))
        # So many bytes of the list of refused lines belong to what is written down; a cut-off may leave more of it.
        record.report = {**asdict(self.report), "refused_bytes": self._refusals.written()}
        record.save(update_fields=["records_done", "report", "first_item", "last_item", "first_score", "last_score"])
        self._record = record

    @transaction.atomic
    def finish(self) -> None:
        project = alone(self._record.project_id)
        record = self._held()
        if project.mode == Project.Mode.COMPARE and (self.report.items_added or self.report.items_restored):
            comparisons_open(project=project)
        record.report, record.finished_at = asdict(self.report), timezone.now()
        record.refused_path = str(self._refusals.path) if self.report.refused else ""
        record.save(update_fields=["report", "finished_at", "refused_path"])
        audit.record(
            actor=record.requested_by, action="annotations.items_imported", target=project, detail={**asdict(self.report)}
        )

    def _told(self) -> None:
        if self._tell:
            self._tell(self._source.done, self._source.total)


def _read_before(record: Import) -> int | None:
    """The import that has read the same bytes into this project, and still stands."""
    same = Import.objects.filter(project=record.project_id, content_hash=record.content_hash, undone_at=None)
    return same.exclude(finished_at=None).exclude(pk=record.pk).values_list("pk", flat=True).first()


def import_folder() -> Path:
    folder = Path(site.RLWHF_HOME) / "uploads" / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def upload_store(chunks: Iterator[bytes], name: str = "upload.jsonl") -> Path:
    """Keep an uploaded file until its import has read it."""
    ending = "".join(Path(name).suffixes[-2:])
    path = import_folder() / f"{uuid4()}{ending if ending.replace('.', '').isalnum() and len(ending) < 20 else ''}"
    try:
        with path.open("wb") as file:
            file.writelines(chunks)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path
