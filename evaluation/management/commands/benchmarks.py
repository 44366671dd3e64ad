"""rlwhf benchmarks: list benchmarks, or make a folder with one known."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from evaluation.selectors import benchmark_list
from evaluation.services import EvaluationRefused, benchmark_register


class Command(BaseCommand):
    help = "List benchmarks, or make a folder with questions known: rlwhf benchmarks [register FOLDER]"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="the benchmarks that are known (the default)")
        register = actions.add_parser("register", help="make a benchmark folder known")
        register.add_argument("folder", type=Path)
        add_user_argument(register)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "register":
            self._register(options)
            return
        benchmarks = benchmark_list()
        for one in benchmarks:
            self.stdout.write(f"{one.name:<30} {one.version:<10} {one.hash[:12]} {one.n:>7} questions  {one.folder}")
        if not benchmarks:
            self.stdout.write("No benchmarks yet. Make a folder with one known with `rlwhf benchmarks register FOLDER`.")

    def _register(self, options: dict[str, Any]) -> None:
        try:
            found = benchmark_register(folder=options["folder"], actor=acting_user(options))
        except EvaluationRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"{found} is known now: {found.n} questions in {found.folder}")
