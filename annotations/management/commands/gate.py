"""rlwhf gate: put a file of RLWHF tuples through the quality gate."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.gate import Gate, GateSettings
from annotations.services.imports import numbered_lines


class Command(BaseCommand):
    help = "Quality gate: rlwhf gate FILE… ends with 0 where enough lines are valid, with 1 where not"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--out", type=Path, help="write the lines that pass to this file")
        parser.add_argument("--unscored", action="store_true", help="accept tuples without a reward")
        parser.add_argument("--require-confidence", action="store_true")
        parser.add_argument("--force", action="store_true", help="end with 0 whatever the verdict; it is still shown")

    def handle(self, *args: Any, **options: Any) -> None:
        settings = GateSettings(
            require_reward=not options["unscored"], require_confidence=options["require_confidence"], force=options["force"]
        )
        gate = Gate(settings)
        try:
            self._read(gate, options["files"], options["out"])
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error
        report = gate.report()
        for reason, count in report.drops.items():
            self.stdout.write(f"{count:>8} × {reason}")
        for drop in report.examples[:20]:
            self.stdout.write(f"         {drop.where}: {drop.field} {drop.reason}")
        self.stdout.write(f"{report.verdict}: {report.message}")
        if report.verdict == "refused":
            raise CommandError("The gate refuses this.", returncode=1)

    def _read(self, gate: Gate, files: list[Path], out: Path | None) -> None:
        kept = out.open("wb") if out else None
        try:
            for path in files:
                with path.open("rb") as file:
                    for number, line in numbered_lines(file):
                        if gate.line(line, f"{path}:{number}") is not None and kept:
                            kept.write(line.rstrip(b"\r\n") + b"\n")
        finally:
            if kept:
                kept.close()
