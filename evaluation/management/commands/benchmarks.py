"""rlwhf benchmarks: list benchmarks, look at one, and make one of a folder, a published file, a project or Atlas."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.models import Project
from annotations.sources.reading import AUTO
from evaluation.abstention.measure import Share, table
from evaluation.benchmarks.formats import FORMATS
from evaluation.benchmarks.making import Made, benchmark_atlas, benchmark_from_project, benchmark_import
from evaluation.benchmarks.selectors import abstention_measured, judges_of, manifest_of, slices_shown
from evaluation.judging import JUDGES
from evaluation.models import Benchmark
from evaluation.selectors import benchmark_list
from evaluation.services import EvaluationRefused, benchmark_register


class Command(BaseCommand):
    help = "List benchmarks, look at one, or make one: rlwhf benchmarks [show|register|import|project|atlas|formats|judges]"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="the benchmarks that are known (the default)")
        actions.add_parser("formats", help="the formats that a benchmark's file may have")
        actions.add_parser("judges", help="how answers are judged, and how well declining is recognised")
        show = actions.add_parser("show", help="one benchmark: its questions in numbers, and how answers are judged")
        show.add_argument("benchmark", help="name, or the start of the hash")
        register = actions.add_parser("register", help="make a benchmark folder known")
        register.add_argument("folder", type=Path)
        of_file = actions.add_parser("import", help="make a published benchmark's file a benchmark")
        of_file.add_argument("file", type=Path)
        of_file.add_argument(
            "--format", dest="source_format", default=AUTO, metavar="NAME", help="see `rlwhf benchmarks formats`"
        )
        of_file.add_argument("--name", default="", help="default: the format's")
        of_file.add_argument("--set-version", dest="set_version", default="", metavar="VERSION", help="default: the next number")
        of_project = actions.add_parser("project", help="make a project's scored items a benchmark")
        of_project.add_argument("project", metavar="SLUG")
        of_project.add_argument("--min-scores", type=int, default=1, help="people who must have scored an answer (default: 1)")
        of_project.add_argument("--name", default="", help="default: the project's")
        atlas = actions.add_parser("atlas", help="make the closed world of a seed a benchmark, with all its splits")
        atlas.add_argument("--seed", type=int, default=0)
        for one in (register, of_file, of_project, atlas):
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        action = options["action"] or "list"
        try:
            getattr(self, f"_{action}")(options)
        except EvaluationRefused as refused:
            raise CommandError(str(refused)) from refused

    def _list(self, options: dict[str, Any]) -> None:
        benchmarks = benchmark_list()
        for one in benchmarks:
            self.stdout.write(f"{one.name:<30} {one.version:<10} {one.hash[:12]} {one.n:>7} questions  {one.folder}")
        if not benchmarks:
            self.stdout.write(
                "No benchmarks yet. `rlwhf benchmarks atlas` makes one of the closed world, `rlwhf benchmarks import FILE` one"
                " of a published file, `rlwhf benchmarks register FOLDER` makes your own known."
            )

    def _formats(self, options: dict[str, Any]) -> None:
        for one in FORMATS.values():
            self.stdout.write(f"{one.name:<20} {one.title}. {one.about}\n{'':<20} {one.looks}; {one.origin}")

    def _judges(self, options: dict[str, Any]) -> None:
        for name, judge in JUDGES.items():
            self.stdout.write(f"{name:<12} {judge.title}. {judge.about}")
        for language, measured in abstention_measured().items():
            self.stdout.write(f"\nOf {measured.n} answers in {language} labelled by hand, which no phrase was chosen by:")
            for stance, precision, recall in table(measured):
                self.stdout.write(f"{stance:<12} precision {_share(precision)}, recall {_share(recall)}")

    def _show(self, options: dict[str, Any]) -> None:
        wanted = options["benchmark"]
        one = Benchmark.objects.filter(name=wanted).first() or Benchmark.objects.filter(hash__startswith=wanted).first()
        if one is None:
            raise CommandError(f"There is no benchmark “{wanted}”; `rlwhf benchmarks` lists them.")
        self.stdout.write(f"{one.name} {one.version}  {one.hash}\n{one.folder}")
        for title in ("title", "about", "origin", "source"):
            if said := manifest_of(one).get(title):
                self.stdout.write(f"{title}: {said}")
        facts = one.facts
        self.stdout.write(f"questions: {one.n}, {facts.get('known', 0)} known, {facts.get('unknown', 0)} unknown")
        for judge, count in judges_of(one):
            self.stdout.write(f"judged: {count} by {judge.title.lower()}. {judge.about}")
        for name, counts, more in slices_shown(facts):
            shown = ", ".join(f"{value} {count}" for value, count in counts.items())
            self.stdout.write(f"{name}: {shown}{f', and {more} more' if more else ''}")

    def _register(self, options: dict[str, Any]) -> None:
        found = benchmark_register(folder=options["folder"], actor=acting_user(options))
        self.stdout.write(f"{found} is known now: {found.n} questions in {found.folder}")

    def _import(self, options: dict[str, Any]) -> None:
        how = {"source_format": options["source_format"], "name": options["name"], "version": options["set_version"]}
        self._tell(benchmark_import(path=options["file"], actor=acting_user(options), **how))

    def _project(self, options: dict[str, Any]) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project “{options['project']}”.")
        how = {"min_scores": options["min_scores"], "name": options["name"]}
        self._tell(benchmark_from_project(project=project, actor=acting_user(options), **how))

    def _atlas(self, options: dict[str, Any]) -> None:
        self._tell(benchmark_atlas(seed=options["seed"], actor=acting_user(options)))

    def _tell(self, made: Made) -> None:
        known = "was known already" if made.known else "is known now"
        self.stdout.write(f"{made.benchmark} {known}: {made.benchmark.n} questions in {made.benchmark.folder}")
        for reason, count in made.left_out.items():
            self.stderr.write(f"left out: {count} × {reason}")


def _share(share: Share) -> str:
    if share.value is None or share.interval is None:
        return "none"
    return f"{share.value:.3f} [{share.interval.low:.3f}, {share.interval.high:.3f}] ({share.hits} of {share.n})"
