"""A job's metrics or telemetry as a CSV file."""

import csv
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from jobs.figures import harmless
from jobs.models import Job
from jobs.monitoring.columns import Columns, plain
from jobs.monitoring.histories import raw_history

ROWS_AT_ONCE = 5000


def job_table(job: Job, stream: str) -> BinaryIO:
    """The whole of a stream, a line a row and a column a figure, nothing where nothing was measured; opened at its start.

    `time` is in seconds since 1970; sizes and rates are in the units that their names say.
    """
    file = TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    write_table(raw_history(job, stream).columns, text)
    text.detach()
    file.seek(0)
    return cast(BinaryIO, file)


def write_table(columns: Columns, out: TextIOWrapper) -> None:
    names = columns.names
    writer = csv.writer(out)
    writer.writerow([harmless(name) for name in names])
    for start in range(0, columns.count, ROWS_AT_ONCE):
        part = [columns.values[name][start : start + ROWS_AT_ONCE].tolist() for name in names]
        writer.writerows([plain(value) for value in row] for row in zip(*part, strict=True))
