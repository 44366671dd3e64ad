"""rlwhf validate-answers: look through a file of answers for games against a reward."""

from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError

from evaluation.answers import AnswerRow
from evaluation.scorecards.findings_text import validator_lines
from evaluation.validator.answers import Said, said_of, said_of_records
from evaluation.validator.report import validator_report

FAILED, CANNOT_TELL = 2, 3


class Command(BaseCommand):
    help = "Look through answers for games against a reward: rlwhf validate-answers FILE [--base FILE]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="JSON lines: an evaluation's answers.jsonl, or rows with prompt and answer")
        parser.add_argument("--base", type=Path, help="an evaluation's answers of the base model to the same questions")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends with status 1 where a game was found, 2 where the answers cannot be read, and 3 where it cannot be told."""
        try:
            report = validator_report(_answers(options["file"], options["base"]))
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}.", returncode=FAILED) from error
        except ValueError as error:
            raise CommandError(str(error), returncode=FAILED) from error
        self.stdout.write(report.model_dump_json(indent=1) if options["json"] else "\n".join(validator_lines(report)))
        if not report.passed:
            raise SystemExit(CANNOT_TELL if report.passed is None else 1)


def _answers(path: Path, base: Path | None) -> list[Said]:
    """An evaluation's rows say of themselves which they are; any others are read as rows in general. A base's are found by id."""
    records, before = _lines(path), _lines(base) if base else []
    if all("id" in one and "slices" in one for one in (*records, *before)):
        return said_of(_rows(path, records), _rows(base, before) if base else ())
    return said_of_records(records, before)


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as lines:
        return [_record(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path.name}, line {number}: not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name}, line {number}: no object with “prompt” and “answer”")
    return found


def _rows(path: Path, records: list[dict[str, Any]]) -> list[AnswerRow]:
    try:
        return [AnswerRow.model_validate(one) for one in records]
    except ValidationError as error:
        raise ValueError(f"{path.name} does not hold an evaluation's answers: {error.errors()[0]['msg']}") from error
