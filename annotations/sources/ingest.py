"""Any files of feedback into one file of RLWHF tuples, with a report of what became of every record."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from annotations.sources.reading import Source, tuples_in
from annotations.sources.records import Converted, Refused
from annotations.tuples import RlwhfTuple
from jobs.figures import harmless

WARN_BELOW = 0.95
Tell = Callable[[int, int], None]


@dataclass
class FileReport:
    """What became of one file's records: each is converted or refused."""

    file: str
    format: str
    container: str
    why: str = ""
    records: int = 0
    converted: int = 0
    refused: int = 0
    tuples: int = 0
    scored: int = 0
    ordered: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of the records, the part that was converted."""
        return self.converted / self.records if self.records else 1.0


@dataclass
class IngestReport:
    output: str
    refused_rows: str
    files: list[FileReport]

    @property
    def records(self) -> int:
        return sum(one.records for one in self.files)

    @property
    def refused(self) -> int:
        return sum(one.refused for one in self.files)

    @property
    def tuples(self) -> int:
        return sum(one.tuples for one in self.files)

    @property
    def share(self) -> float:
        return (self.records - self.refused) / self.records if self.records else 1.0

    def document(self) -> dict[str, Any]:
        totals = {
            "records": self.records,
            "refused": self.refused,
            "tuples": self.tuples,
            "converted_share": round(self.share, 6),
        }
        return totals | asdict(self)


def ingest(
    sources: Sequence[Source],
    output: Path,
    *,
    tell: Tell | None = None,
) -> IngestReport:
    """Write the tuples of all sources to `output`, in order, and the refused records to a CSV beside it.

    Both are written aside and renamed, so that nothing half-written is left. An order of answers is kept as `rank` and
    `ranker` in the tuples' metadata. Raises OSError where a file cannot be read at all.
    """
    refused_path = output.with_name(f"{output.name}.refused.csv")
    with _aside(output) as file, _aside(refused_path) as refused:
        rows = _Rows(refused)
        reports = [_ingest_one(source, file, rows, tell) for source in sources]
    if not rows.count:
        refused_path.unlink()
    return IngestReport(str(output), str(refused_path) if rows.count else "", reports)


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.writing")
    try:
        with aside.open("wb") as file:
            yield file
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


class _Rows:
    """The refused records as CSV: file, line, field, reason."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self._write("file", "line", "field", "reason")

    def add(self, name: str, one: Refused) -> None:
        self.count += 1
        self._write(name, str(one.place), one.problem.field, one.problem.reason)

    def _write(self, *cells: str) -> None:
        csv.writer(self).writerow([harmless(cell) for cell in cells])

    def write(self, text: str) -> int:
        return self._file.write(text.encode(errors="backslashreplace"))


def _why(source: Source) -> str:
    named = {one.format for one in source.recognised}
    return source.format.looks if source.format.name in named else "as asked"


def _ingest_one(source: Source, file: BinaryIO, rows: _Rows, tell: Tell | None) -> FileReport:
    report = FileReport(source.path.name, source.format.name, source.container, _why(source))
    reasons, left_out = Counter[str](), Counter[str]()
    for one in source.read():
        report.records += 1
        found = tuples_in(one) if isinstance(one, Converted) else one
        if isinstance(found, Refused):
            report.refused += 1
            reasons[found.problem.kind] += 1
            rows.add(source.path.name, found)
        else:
            assert isinstance(one, Converted)
            report.converted += 1
            left_out.update(one.left_out)
            _write(file, one, found, report)
        if tell and report.records % 1000 == 0:
            tell(source.done, source.total)
    report.reasons, report.left_out = dict(reasons.most_common(50)), dict(left_out)
    return report


def _write(file: BinaryIO, record: Converted, tuples: list[RlwhfTuple], report: FileReport) -> None:
    report.tuples += len(tuples)
    report.ordered += record.ranks is not None
    for number, parsed in enumerate(tuples):
        report.scored += parsed.reward is not None
        document = dict(record.tuples[number])
        if record.ranks is not None:
            order = {"rank": record.ranks[number]} | ({"ranker": record.ranker} if record.ranker else {})
            document["metadata"] = dict(document.get("metadata") or {}) | order
        file.write(orjson.dumps(document) + b"\n")
