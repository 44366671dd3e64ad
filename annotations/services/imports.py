"""Import of RLWHF tuples from JSON lines: streaming, all or nothing, and the same file twice adds nothing."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Import, Project
from annotations.services.comparing import comparisons_open
from annotations.services.import_batch import Batch, Counts
from annotations.tuples import Problem, RlwhfTuple, parse_line
from jobs.models import Job
from jobs.services import job_queue

# An item longer than this is no answer that a person could score.
MAX_LINE_BYTES = 8 << 20
BATCH_LINES = 1000
BATCH_BYTES = 16 << 20
# Files up to this size are read while the person waits.
DIRECT_BYTES = 512 << 10
BOM = b"\xef\xbb\xbf"

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class ImportReport:
    """What became of a file's lines; `reasons` counts the refused ones."""

    file: str
    lines: int
    items_added: int
    items_known: int
    scores_added: int
    scores_known: int
    refused: int
    reasons: dict[str, int] = field(default_factory=dict)
    # Lines about items that were deleted here: they stay deleted, and their scores are not taken.
    items_deleted: int = 0


def item_import(
    *, project: Project, path: Path, actor: User | None, rater_name: str = "imported", tell: Tell | None = None
) -> ImportReport:
    """Read the tuples in the JSON-lines file at `path` into a project, at once, in one transaction.

    A reward in a tuple becomes a score by the teacher `rater_name` (or by the one that its metadata names as `rater`),
    given at its `update_timestamp`. Raises OSError where the file cannot be read.
    """
    record = Import.objects.create(project=project, file_name=path.name[:200], rater_name=rater_name, requested_by=actor)
    return import_carry_out(record=record, path=path, tell=tell)


@transaction.atomic
def import_queue(
    *, project: Project, file_name: str, stored_path: Path, actor: User | None, rater_name: str = "imported"
) -> Import:
    """Queue the import of a stored file as a background job."""
    record = Import.objects.create(
        project=project,
        file_name=file_name[:200],
        stored_path=str(stored_path),
        rater_name=rater_name,
        requested_by=actor,
    )
    job: Job = job_queue(
        kind="annotations.import",
        title=f"Import {record.file_name} into {project.name}",
        payload={"import": record.pk},
        hardware_tag="site",
        actor=actor,
    )
    record.job = job
    record.save(update_fields=["job"])
    return record


def import_carry_out(*, record: Import, path: Path, tell: Tell | None = None) -> ImportReport:
    """Read a file for an import that was asked for; called by the job's process, or directly for a small file."""
    refused_path = import_folder() / f"{record.pk}-refused.csv"
    with refused_path.open("w", newline="", encoding="utf-8") as refused_file, path.open("rb") as file:
        refusals = Refusals(record.file_name, refused_file)
        with transaction.atomic():
            project = _alone(record.project_id)
            report = _read(Batch(project=project, rater_name=record.rater_name), file, path, refusals, tell)
            if project.mode == Project.Mode.COMPARE and report.items_added:
                comparisons_open(project=project)
            record.report, record.finished_at = asdict(report), timezone.now()
            record.refused_path = str(refused_path) if report.refused else ""
            record.save(update_fields=["report", "finished_at", "refused_path"])
            audit.record(
                actor=record.requested_by, action="annotations.items_imported", target=project, detail={**asdict(report)}
            )
    if not report.refused:
        refused_path.unlink()
    if record.stored_path:
        Path(record.stored_path).unlink(missing_ok=True)
    return report


def _alone(project: int) -> Project:
    """The project, with its settings as they are until this ends, and no other import into it: two that hold the same items would
    wait for each other crosswise. By a lock of its own, so that whoever scores need not wait to count a revised answer.
    """
    with connection.cursor() as run:
        run.execute("SELECT pg_advisory_xact_lock(hashtext('annotations.import'), %s::bigint::bit(32)::int)", [project])
        run.execute("SELECT FROM annotations_project WHERE id = %s FOR KEY SHARE", [project])
    return Project.objects.get(pk=project)


def import_folder() -> Path:
    folder = Path(settings.RLWHF_HOME) / "uploads" / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def upload_store(chunks: Iterator[bytes]) -> Path:
    """Keep an uploaded file until its import has read it."""
    path = import_folder() / f"{uuid4()}.jsonl"
    with path.open("wb") as file:
        file.writelines(chunks)
    return path


class Refusals:
    """The refused lines, written down as they come: file, line, field, reason."""

    def __init__(self, name: str, file: TextIO) -> None:
        self.name = name
        self._rows = csv.writer(file)
        self._rows.writerow(("file", "line", "field", "reason"))
        self.reasons: Counter[str] = Counter()

    def add(self, line: int, problem: Problem) -> None:
        self.reasons[problem.kind] += 1
        self._rows.writerow((harmless(self.name), line, harmless(problem.field), harmless(problem.reason)))


def harmless(cell: str) -> str:
    """A spreadsheet takes a cell that starts like a formula for one."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _read(batch: Batch, file: BinaryIO, path: Path, refusals: Refusals, tell: Tell | None) -> ImportReport:
    total, read, lines, waiting = path.stat().st_size, 0, 0, 0
    for number, line in numbered_lines(file):
        lines, read, waiting = lines + 1, read + len(line), waiting + len(line)
        parsed = parse_line(line) if len(line) <= MAX_LINE_BYTES else Problem(field="", reason="is longer than 8 MB")
        if isinstance(parsed, RlwhfTuple):
            batch.add(parsed)
        else:
            refusals.add(number, parsed)
        if len(batch) >= BATCH_LINES or waiting >= BATCH_BYTES:
            batch.flush()
            waiting = 0
            if tell:
                tell(read, total)
    batch.flush()
    batch.close()
    return _report(lines, batch.counts, refusals)


def _report(lines: int, counts: Counts, refusals: Refusals) -> ImportReport:
    refused = sum(refusals.reasons.values())
    # A file can be wrong in as many ways as it has lines; the full list is in the refused-lines file.
    return ImportReport(
        file=refusals.name, lines=lines, refused=refused, reasons=dict(refusals.reasons.most_common(50)), **asdict(counts)
    )


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, numbered from 1. Of a line that is too long only the start is kept in memory."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if not line.endswith(b"\n") and len(line) > MAX_LINE_BYTES:
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        if number == 1:
            line = line.removeprefix(BOM)
        if line.strip():
            yield number, line
