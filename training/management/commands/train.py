"""rlwhf train: queue a training run, or look at what it would do."""

import argparse
import tomllib
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.models import DatasetVersion
from jobs.follow import follow, succeeded
from jobs.steering import HIGHEST_PRIORITY, LOWEST_PRIORITY
from training.drafts import implied
from training.exceptions import BadSpec
from training.launching import Asked, asked_for, recipe_behind, rows_preview, run_values, tag_of
from training.models import Artifact, Run
from training.recipes import load_recipe
from training.services import RunRefused, run_check, run_queue, run_spec
from training.specs import RunSpec


class Command(BaseCommand):
    help = "Queue a training run: rlwhf train --recipe atlas-grpo --dataset NAME --base NAME --name NAME"

    def add_arguments(self, parser: CommandParser) -> None:
        add_what_to_run(parser)
        parser.add_argument("--from", dest="original", metavar="RUN", help="like this run, but for what else is given")
        parser.add_argument("--name", required=True, help="name of the run and of the model it makes")
        parser.add_argument("--check", action="store_true", help="say what it would do, and queue nothing")
        parser.add_argument("--rows", type=int, metavar="N", help="show N rows as the model will see them, and queue nothing")
        add_priority(parser)
        parser.add_argument("--wait", action="store_true", help="show progress, and end when the run does")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        original = _named(Run, options["original"]) if options["original"] else None
        asked = what_to_run(options, original=original)
        dataset = dataset_of(options, original)
        try:
            if options["check"] or options["rows"] is not None:
                spec = run_check(name=options["name"], dataset=dataset, **asked.arguments())
                self._tell(spec, asked, dataset, options)
                return
            about: dict[str, Any] = {"name": options["name"], "dataset": dataset, "priority": options["priority"]}
            run = run_queue(actor=acting_user(options), **about, **asked.arguments())
        except RunRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"Queued {run.name} as job {run.job_id} for a {run.job.hardware_tag} worker.")
        if options["wait"]:
            ended = succeeded(follow(run.job, self.stderr.write), name=run.name)
            self.stdout.write(f"{run.name} is trained: {ended.folder}")

    def _tell(self, spec: RunSpec, asked: Asked, dataset: DatasetVersion, options: dict[str, Any]) -> None:
        if options["check"]:
            self.stdout.write(spec.model_dump_json(indent=2))
            for one in implied(spec.model_dump(mode="json")):
                self.stdout.write(f"{one.title}, {one.rows}: {one.sentence}")
        if options["rows"] is None:
            return
        spec = run_spec(name="run", **asked.what())
        told = rows_preview(spec=spec, dataset=dataset, base=asked.base, count=options["rows"])
        self.stdout.write("The loss counts what stands in [ ]; what is cut off stands in ~ ~.")
        for row in told["rows"]:
            for lane in row["lanes"]:
                label = " ".join(filter(None, [f"row {row['number']}", lane["label"]]))
                self.stdout.write(f"{label} ({lane['tokens']} tokens, {lane['cut']} cut off): {in_line(lane['pieces'])}")
        figures = told["figures"]
        cut = f"{figures['cut']} cut, {figures['left_out']} left out"
        self.stdout.write(f"Of the first {figures['rows']} rows: {cut}, {figures['trained_share']:.0%} of the tokens counted.")


def in_line(pieces: list[dict[str, Any]]) -> str:
    """Tokens as text: in brackets what the loss counts, between tildes what is cut off."""
    marks = {"trained": "[]", "read": "[]", "cut": "~~", "context": "  "}
    text, before = "", "context"
    for piece in [*pieces, {"part": "context", "text": ""}]:
        if piece["part"] != before:
            text += marks[before][1].strip() + marks[piece["part"]][0].strip()
        before = piece["part"]
        text += piece["text"].replace("\n", "⏎")
    return text


def add_what_to_run(parser: CommandParser) -> None:
    """The flags that say what is run, on what, where."""
    parser.add_argument("--recipe", metavar="RECIPE", help="a recipe's name, or a file")
    parser.add_argument("--dataset", help="name of a dataset version")
    parser.add_argument("--base", help="name of the model to start from (default: the recipe's own)")
    parser.add_argument("--profile", help="lay a hardware profile over the recipe; `rlwhf profiles` lists them")
    parser.add_argument("--tag", dest="hardware_tag", help="hardware tag of the worker (default: the profile's or recipe's)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="FIELD=VALUE",
        help="such as settings.max_steps=60; may be repeated",
    )


def add_priority(parser: CommandParser) -> None:
    said = f"the highest comes first: {LOWEST_PRIORITY} to {HIGHEST_PRIORITY} (default: 0)"
    parser.add_argument("--priority", type=int, default=0, help=said)


def what_to_run(options: dict[str, Any], *, original: Run | None = None) -> Asked:
    """What the flags ask for. Raises CommandError."""
    base = _named(Artifact, options["base"]) if options["base"] else None
    overrides = dict(options["set"])
    if original is not None:
        try:
            asked = asked_for(recipe=recipe_behind(original), values=run_values(original), seed=original.spec.get("seed", 0))
        except RunRefused as refused:
            raise CommandError(str(refused)) from refused
        tag = options["hardware_tag"] or _tag_of(options["profile"]) or asked.hardware_tag
        own = {name: value for name, value in asked.overrides.items() if not (base and name == "model")}
        return Asked(asked.recipe, base or asked.base, own | overrides, tag, options["profile"] or asked.profile)
    if not options["recipe"]:
        raise CommandError("Name a recipe: --recipe atlas-grpo. `rlwhf train --from RUN` does what another run did.")
    tag = options["hardware_tag"] or _tag_of(options["profile"]) or _own_tag(options["recipe"])
    return Asked(options["recipe"], base, overrides, tag, options["profile"])


def _tag_of(profile: str | None) -> str | None:
    try:
        return tag_of(profile)
    except RunRefused as refused:
        raise CommandError(str(refused)) from refused


def _own_tag(recipe: str) -> str:
    try:
        return load_recipe(recipe).hardware.profile
    except BadSpec as error:
        raise CommandError(f"{error.reason} {error.hint}".strip()) from error


def dataset_of(options: dict[str, Any], original: Run | None) -> DatasetVersion:
    if options["dataset"]:
        dataset: DatasetVersion = _named(DatasetVersion, options["dataset"])
        return dataset
    if original is None:
        raise CommandError("Name a dataset version: --dataset NAME.")
    return original.dataset


def _named(model: Any, name: str) -> Any:
    found = model.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no {model._meta.verbose_name} named “{name}”.")
    return found


def _setting(text: str) -> tuple[str, Any]:
    """`field=value`, the value read as TOML where it is that, else as plain text."""
    field, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: write FIELD=VALUE, such as settings.max_steps=60.")
    if value.strip() == "null":  # TOML has no word for it
        return field.strip(), None
    try:
        return field.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return field.strip(), value.strip()
