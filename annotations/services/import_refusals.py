"""The refused lines of an import, written down as they come: file, line, field, reason."""

import csv
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from annotations.models import Import
from annotations.tuples import Problem
from jobs.figures import harmless

COLUMNS = ("file", "line", "field", "reason")


class Refusals:
    """An import that goes on writes on, after what its last finished chunk had written."""

    def __init__(self, record: Import, folder: Path) -> None:
        self.path = folder / f"{record.pk}-refused.csv"
        self._name = harmless(record.file_name)
        self._standing = int(record.report.get("refused_bytes", 0)) if record.records_done else 0
        self.reasons: Counter[str] = Counter(record.report.get("reasons", {}) if record.records_done else {})

    def __enter__(self) -> Self:
        if self._standing and self.path.exists():
            with self.path.open("r+b") as file:
                file.truncate(self._standing)
            self._file = self.path.open("a", newline="", encoding="utf-8", errors="backslashreplace")
            self._rows = csv.writer(self._file)
        else:
            self._file = self.path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
            self._rows = csv.writer(self._file)
            self._rows.writerow(COLUMNS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, line: int, problem: Problem) -> None:
        self.reasons[problem.kind] += 1
        self._rows.writerow((self._name, line, harmless(problem.field), harmless(problem.reason)))

    def written(self) -> int:
        self._file.flush()
        return self._file.tell()


def refused_first(record: Import, count: int) -> list[dict[str, str]]:
    """The first refused lines of an import, for its page."""
    if not record.refused_path or not Path(record.refused_path).exists():
        return []
    with Path(record.refused_path).open(newline="", encoding="utf-8") as file:
        return [row for _, row in zip(range(count), csv.DictReader(file), strict=False)]
