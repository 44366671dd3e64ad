"""A published benchmark's file into a benchmark folder, named by the hash of its questions. Nothing here knows Django."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from annotations.sources.containers.opening import open_container
from annotations.sources.errors import SourceError
from annotations.sources.format import Unreadable
from annotations.sources.reading import AUTO, SAMPLE, SURE_ENOUGH, file_hash
from annotations.sources.records import Record, Refused
from annotations.tuples import Problem
from evaluation.benchmarks.folder import MANIFEST, QUESTIONS
from evaluation.benchmarks.formats import FORMATS
from evaluation.benchmarks.formats.format import BenchmarkFormat
from evaluation.question import Question

REFUSED_KEPT = 100
MOST_QUESTIONS = 200_000
MOST_TEXT = 256 << 20
"""Of all questions together, in characters as JSON. A packed file may come to two hundred times its own size."""
HASH_SHOWN = 12


@dataclass
class Imported:
    """A file's questions, and what became of its records. `refused` holds the first of those that gave none."""

    format: BenchmarkFormat
    source: dict[str, Any]
    questions: list[Question] = field(default_factory=list)
    records: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)

    @property
    def refused_records(self) -> int:
        return sum(self.reasons.values())

    def refuse(self, one: Refused) -> None:
        self.reasons[one.problem.kind] += 1
        if len(self.refused) < REFUSED_KEPT:
            self.refused.append(one)


def benchmark_import_read(path: Path, *, source_format: str = AUTO, called: str = "") -> Imported:
    """Read a benchmark's file. `called` is its name where `path` is a copy. Raises SourceError, in words for people."""
    container = open_container(path)
    chosen = _format(path, container.records(0), source_format)
    imported = Imported(chosen, {"file": called or path.name, "sha256": file_hash(path)})
    seen: set[str] = set()
    size = 0
    for one in container.records(0):
        imported.records += 1
        found = _questions(one, chosen, seen) if isinstance(one, Record) else one
        if isinstance(found, Refused):
            imported.refuse(found)
        else:
            seen.update(question.id for question in found)
            imported.questions += found
            size += sum(len(question.model_dump_json()) for question in found)
            if size > MOST_TEXT or len(imported.questions) > MOST_QUESTIONS:
                limits = f"{MOST_QUESTIONS:,} questions, or {MOST_TEXT >> 20} MB of them"
                raise SourceError(f"{called or path.name} has more than {limits}; a benchmark has not.", where="file")
    if not imported.questions:
        first = imported.refused[0].problem if imported.refused else None
        why = f"its first record {' '.join([first.field, first.reason]).strip()}" if first else "it is empty"
        raise SourceError(f"{called or path.name} has no question for {chosen.title}: {why}.", where="file")
    return imported


def _format(path: Path, records: Iterable[Record | Refused], source_format: str) -> BenchmarkFormat:
    if source_format != AUTO:
        if source_format not in FORMATS:
            raise SourceError(f"There is no format “{source_format}”. There are: {', '.join(FORMATS)}.", where="format")
        return FORMATS[source_format]
    sample = [one.value for one in islice(records, SAMPLE) if isinstance(one, Record)]
    likely = sorted(FORMATS.values(), key=lambda one: -one.recognise(sample)) if sample else []
    if not likely or likely[0].recognise(sample) < SURE_ENOUGH:
        raise SourceError(f"{path.name}: no format is recognised. Name one: {', '.join(FORMATS)}.", where="format")
    if likely[0].named:
        alike = [one for one in likely if one.recognise(sample) == likely[0].recognise(sample)]
        choices = " or ".join(f"{one.name} ({one.title})" for one in alike)
        raise SourceError(f"What the file looks like could be {choices}. Say which.", where="format")
    return likely[0]


def _questions(record: Record, chosen: BenchmarkFormat, seen: set[str]) -> list[Question] | Refused:
    """A record counts whole: where one of its questions is wrong, none of them is taken."""
    try:
        found = [Question.model_validate(one) for one in chosen.questions(record)]
    except Unreadable as error:
        return Refused(record.place, Problem(field=error.where, reason=str(error)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Refused(record.place, Problem(field=where, reason=first["msg"].removeprefix("Value error, ")))
    twice = next((one.id for one in found if one.id in seen), None)
    return found if twice is None else Refused(record.place, Problem(field="id", reason=f"“{twice}” was given before"))


def benchmark_write(questions: Sequence[Question], *, root: Path, name: str, version: str, manifest: Mapping[str, Any]) -> Path:
    """Write a benchmark folder below `root`, whole or not at all; the same questions under the same name are written once."""
    content = b"".join(orjson.dumps(_row(one)) + b"\n" for one in questions)
    digest = hashlib.sha256(content).hexdigest()
    folder = root / f"{name}-{digest[:HASH_SHOWN]}"
    if (folder / MANIFEST).exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".benchmark-", dir=root))
    try:
        (aside / QUESTIONS).write_bytes(content)
        document = {"name": name, "version": version, "hash": digest, "n": len(questions), **manifest}
        (aside / MANIFEST).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.chmod(0o755)
        _published(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _published(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        if not folder.exists():  # not that somebody else was quicker
            raise


def _row(question: Question) -> dict[str, Any]:
    """What it says, without what it leaves open: so that the hash does not change with what this version could also say."""
    return question.model_dump(mode="json", exclude_defaults=True)


def manifest_of(imported: Imported) -> dict[str, Any]:
    """Where the questions come from, for the manifest."""
    chosen = imported.format
    return {
        "title": chosen.title,
        "about": chosen.about,
        "origin": chosen.origin,
        "format": chosen.name,
        "source": imported.source,
        "records": imported.records,
        "refused": dict(imported.reasons),
    }


def name_of(text: str) -> str:
    """A name for a benchmark, of a file's: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:100] or "benchmark"
