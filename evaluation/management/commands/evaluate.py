"""rlwhf evaluate: queue a scorecard, and print it when it is there."""

from pathlib import Path
from typing import Any, get_args

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Endpoint
from accounts.shell import acting_user, add_user_argument
from evaluation.answers import ConfidenceSource, ProbeName
from evaluation.asking.turns import Language
from evaluation.harnesses.table import HARNESSES
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.table import scorecard_text
from evaluation.selectors import evaluation_get, scorecard_of
from evaluation.services import EvaluationRefused, benchmark_register, evaluation_queue
from jobs.follow import follow
from training.models import Artifact

SETTINGS = (
    "max_new_tokens", "samples", "temperature", "seed", "elicit", "confidence", "knowledge", "known_share", "probes", "language",
    "kl", "preferences", "guard", "validator", "harness", "tasks", "task_limit",
)  # fmt: skip


class Command(BaseCommand):
    help = "Queue a scorecard of a model: rlwhf evaluate MODEL --benchmark NAME-OR-FOLDER [--wait]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", nargs="?", help="name of the model to ask")
        parser.add_argument("--endpoint", help="ask the model of this endpoint instead")
        parser.add_argument("--benchmark", required=True, help="name, start of the hash, or folder of a benchmark")
        parser.add_argument("--base", help="name of the baseline (default: the model it was trained from)")
        parser.add_argument("--tag", default="cpu", dest="hardware_tag", help="hardware tag of the worker (default: cpu)")
        _add_settings(parser.add_argument_group("what is asked"))
        parser.add_argument("--wait", action="store_true", help="show progress, and print the scorecard")
        parser.add_argument("--json", action="store_true", help="print the scorecard as JSON (with --wait)")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        actor = acting_user(options)
        settings = {name: options[name] for name in SETTINGS if options[name] not in (None, False)}
        try:
            evaluation = evaluation_queue(
                artifact=_artifact(options["model"]) if options["model"] else None,
                endpoint=_endpoint(options["endpoint"]) if options["endpoint"] else None,
                benchmark=_benchmark(options["benchmark"], options),
                base=_artifact(options["base"]) if options["base"] else None,
                settings=settings,
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


def _add_settings(group: Any) -> None:
    """The settings of EvaluateSpec that people change."""
    group.add_argument("--max-new-tokens", type=int, help="length an answer may have (default: 32)")
    group.add_argument("--samples", type=int, metavar="K", help="answers drawn beside the likeliest one (default: 0)")
    group.add_argument("--temperature", type=float, help="of the samples (default: 1)")
    group.add_argument("--seed", type=int, help="of the samples and of the intervals")
    group.add_argument(
        "--elicit", nargs="+", choices=get_args(ConfidenceSource), help="ways to elicit confidence (default: probability)"
    )
    group.add_argument("--confidence", choices=get_args(ConfidenceSource), help="the one that calibration is measured on")
    group.add_argument("--knowledge", choices=["gold", "samples"], help="what is known: by the benchmark, or the base's samples")
    group.add_argument("--known-share", type=float, help="share of samples that must be right (default: 0.5)")
    group.add_argument("--probes", nargs="+", choices=get_args(ProbeName), help="ask again under pressure, or after a critique")
    group.add_argument("--language", choices=get_args(Language), help="of what is said beside the questions (default: en)")
    group.add_argument("--kl", action="store_true", help="measure the divergence from the base model, on the samples")
    group.add_argument("--preferences", action="store_true", help="measure whether right answers are likelier than wrong ones")
    group.add_argument("--guard", action="store_true", help="check by 400 tasks that abilities were kept")
    group.add_argument("--validator", action="store_true", help="look for answers that game a reward")
    group.add_argument("--harness", choices=list(HARNESSES), help="another's harness that asks the benchmark (default: none)")
    group.add_argument("--tasks", nargs="+", metavar="TASK", help="tasks of lm-eval's own to ask besides, by name")
    group.add_argument("--task-limit", type=int, metavar="N", help="questions of each of those tasks (default: all)")


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
