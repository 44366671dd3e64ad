"""rlwhf evaluate: queue a scorecard, and print it when it is there."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Endpoint
from accounts.shell import acting_user, add_setting, add_user_argument, fields_set
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.table import scorecard_text
from evaluation.selectors import evaluation_get, scorecard_of
from evaluation.services import EvaluationRefused, benchmark_register, evaluation_queue
from evaluation.specs import EvaluateSettings
from jobs.follow import follow
from training.models import Artifact

SETTING = "setting_"  # before the names of options that are settings


class Command(BaseCommand):
    help = "Queue a scorecard of a model: rlwhf evaluate MODEL --benchmark NAME-OR-FOLDER [--wait]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", nargs="?", help="name of the model to ask")
        parser.add_argument("--endpoint", help="ask the model of this endpoint instead")
        parser.add_argument("--benchmark", required=True, help="name, start of the hash, or folder of a benchmark")
        parser.add_argument("--base", help="name of the baseline (default: the model it was trained from)")
        parser.add_argument("--tag", default="cpu", dest="hardware_tag", help="hardware tag of the worker (default: cpu)")
        group = parser.add_argument_group("what is asked, and how")
        for name, field in EvaluateSettings.model_fields.items():
            add_setting(group, name, field, dest=f"{SETTING}{name}")
        group.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="a setting by name, such as hardware.precision=bfloat16",
        )
        parser.add_argument("--wait", action="store_true", help="show progress, and print the scorecard")
        parser.add_argument("--json", action="store_true", help="print the scorecard as JSON (with --wait)")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        actor = acting_user(options)
        flags = {name.removeprefix(SETTING): value for name, value in options.items() if name.startswith(SETTING)}
        try:
            evaluation = evaluation_queue(
                artifact=_artifact(options["model"]) if options["model"] else None,
                endpoint=_endpoint(options["endpoint"]) if options["endpoint"] else None,
                benchmark=_benchmark(options["benchmark"], options),
                base=_artifact(options["base"]) if options["base"] else None,
                settings=flags | fields_set(options["set"]),
                hardware_tag=options["hardware_tag"],
                actor=actor,
            )
        except EvaluationRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stderr.write(f"Queued as job {evaluation.job_id} for a {evaluation.job.hardware_tag} worker.")
        if options["wait"]:
            self._wait(evaluation, as_json=options["json"])

    def _wait(self, evaluation: Evaluation, *, as_json: bool) -> None:
        ended = follow(evaluation.job, self.stderr.write)
        card = scorecard_of(evaluation_get(evaluation.pk))
        if card is None:
            raise CommandError(f"{evaluation} {ended.state}: {ended.reason} {ended.hint}".strip())
        self.stdout.write(card.model_dump_json(indent=1) if as_json else scorecard_text(card))


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no endpoint named “{name}”; `rlwhf endpoints list` names them.")
    return found


def _artifact(name: str) -> Artifact:
    found = Artifact.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no model named “{name}”; `rlwhf models` lists them.")
    return found


def _benchmark(wanted: str, options: dict[str, Any]) -> Benchmark:
    if Path(wanted).is_dir():
        return benchmark_register(folder=Path(wanted), actor=acting_user(options))
    found = Benchmark.objects.filter(name=wanted).first() or Benchmark.objects.filter(hash__startswith=wanted).first()
    if found is None:
        raise CommandError(f"There is no benchmark “{wanted}”: give a name, the start of a hash, or a folder.")
    return found
