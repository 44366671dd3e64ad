"""A training run from the shell alone: `rlwhf dpo-train --policy-model M --dataset-dir D --output-dir O`.

One command per method, its flags made from the method's own settings. It needs no database and no queue: the run is
carried out on the spot, in the folder that is named, and the same command goes on where it was stopped.
"""

from __future__ import annotations

from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from accounts.shell import add_setting, fields_set
from jobs.child import STOPPED_EXIT_CODE
from training.exceptions import BadSpec
from training.hardware.profiles import batch_kept, batch_of, lay, load_profile, most_rows
from training.machines import place_here
from training.on_the_spot import carry_out, why
from training.recipes import load_recipe
from training.specs import RunSpec, config_class, faults_of, laid_over, unknown_fields
from training.trainers import METHODS

# Short names for settings, as many trainers have them.
SHORT = {
    "--epochs": "num_train_epochs",
    "--lr": "learning_rate",
    "--batch-size": "per_device_train_batch_size",
    "--gradient-accumulation": "gradient_accumulation_steps",
    "--lr-scheduler": "lr_scheduler_type",
    "--warmup-ratio": "warmup_steps",
}
SETTING = "setting_"  # before the names of options that are settings


class MethodCommand(BaseCommand):
    """Trains by `method` on the spot. A subclass names the method and nothing else."""

    method: str

    @property
    def help(self) -> str:  # type: ignore[override]
        about = METHODS[self.method]
        return f"Train on the spot, without site or queue: {about.title} ({about.paper})."

    def add_arguments(self, parser: CommandParser) -> None:
        _add_places(parser, self.method)
        _add_machine(parser)
        group = parser.add_argument_group(f"settings of {self.method}")
        for name, field in config_class(self.method).model_fields.items():
            _add_setting(group, name, field)

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["output_dir"]).absolute()
        spec = _spec(self.method, folder, options)
        if options["dry_run"]:
            self.stdout.write(spec.model_dump_json(indent=2))
            return
        status = carry_out(spec, folder, self.stdout.write)
        if status == STOPPED_EXIT_CODE:
            raise CommandError("Stopped; the same command goes on from the newest checkpoint.", returncode=status)
        if status:
            raise CommandError(why(folder), returncode=status)
        self.stdout.write(f"Trained: {folder}")


def _add_places(parser: CommandParser, method: str) -> None:
    about = METHODS[method]
    add = parser.add_argument
    add("--recipe", help="start from this recipe's settings (a name, or a file)")
    add("--base-model", "--policy-model", dest="model", metavar="MODEL", help="a folder or a Hugging Face name to start from")
    if about.has_reference:
        add("--ref-model", dest="reference", metavar="MODEL", help="what it is held to (default: the model it starts from)")
    if about.needs_teacher:
        add("--teacher-model", dest="teacher", metavar="MODEL", help="whom it learns from")
    if about.needs_reward:
        add("--reward", metavar="SHAPE", help="a reward shape's name or file (default: honesty)")
        add("--reward-model", metavar="MODEL", help="a trained reward model as the reward")
    add("--dataset-dir", required=True, type=Path, metavar="DIR", help="holds train.jsonl and, if there is one, eval.jsonl")
    add("--output-dir", required=True, metavar="DIR", help="the run's folder")
    add("--name", help="the run's name (default: its folder's)")
    add("--seed", type=int, default=0)
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="anything else of the spec, such as settings.lora.r=8")
    add("--dry-run", action="store_true", help="print the specification, and train nothing")


def _add_machine(parser: CommandParser) -> None:
    add = parser.add_argument
    add(
        "--hardware",
        dest="profile",
        metavar="TAG",
        help="hardware profile, such as cpu or cuda-a100 (default: the recipe's, else cpu)",
    )
    add("--profile", dest="preset", metavar="PROFILE", help="lay a hardware profile over the recipe; `rlwhf profiles` lists them")
    add("--threads", type=int, help="processor threads")
    precision = parser.add_mutually_exclusive_group()
    for flag, value in (("--bf16", "bfloat16"), ("--fp16", "float16")):
        precision.add_argument(flag, dest="precision", action="store_const", const=value, help=f"compute in {value}")
    add("--deepspeed", type=Path, metavar="FILE", help="a DeepSpeed configuration")
    add("--wandb", metavar="PROJECT", help="also log to this Weights & Biases project")


def _add_setting(group: Any, name: str, field: FieldInfo) -> None:
    """A flag for a setting that fits on a command line; others are set with --set."""
    if name == "truncation_side":
        for side in ("right", "left"):
            common = {"dest": f"{SETTING}{name}", "default": SUPPRESS, "help": field.description}
            group.add_argument(f"--truncation-{side}", action="store_const", const=side, **common)
        return
    short = [one for one, setting in SHORT.items() if setting == name]
    add_setting(group, name, field, dest=f"{SETTING}{name}", short=short)


def _spec(method: str, folder: Path, options: dict[str, Any]) -> RunSpec:
    """The specification that the flags amount to. Raises CommandError that names what is at fault."""
    values = _recipe_values(method, options["recipe"]) if options["recipe"] else {}
    asked: dict[str, Any] = {
        "name": options["name"] or folder.name,
        "method": method,
        "seed": options["seed"],
        "data": _files(options["dataset_dir"]),
        "settings": {name.removeprefix(SETTING): value for name, value in options.items() if name.startswith(SETTING)},
        "hardware": {name: options[name] for name in ("profile", "threads", "precision") if options[name]},
        **{role: {"path": _placed(options[role])} for role in ("model", "reference", "teacher") if options.get(role)},
    }
    if options["deepspeed"]:
        asked["settings"]["extra"] = {"deepspeed": str(options["deepspeed"].absolute())}
    if options["wandb"]:
        asked["tracking"] = {"wandb": options["wandb"]}
    if reward := _reward(options):
        asked["reward"] = reward
    if "model" in asked:
        values.pop("model", None)
    asked = laid_over(asked, fields_set(options["set"]))
    values = _profiled(values, asked, options["preset"]) if options["preset"] else laid_over(values, asked)
    if not values.get("model"):
        raise CommandError("Name the model to start from: --base-model FOLDER_OR_NAME.")
    try:
        spec = RunSpec.model_validate(values)
    except ValidationError as error:
        raise CommandError(faults_of(error)) from error
    for fault in unknown_fields(spec).values():
        raise CommandError(fault)
    return spec


def _profiled(values: dict[str, Any], asked: dict[str, Any], name: str) -> dict[str, Any]:
    """The recipe's values, a hardware profile's over them, and what was asked for over both; the effective batch stays."""
    before = values | {one: asked[one] for one in ("method", "model") if one in asked}
    try:
        profile = load_profile(name)
        laid = lay(before, profile, place_here(profile.tag)).values
    except BadSpec as error:
        raise CommandError(f"{error.reason} {error.hint}".strip()) from error
    over = laid_over(laid, asked)
    return batch_kept(over, like=batch_of(before), most=most_rows(before, profile), fixed=asked["settings"]).values


def _recipe_values(method: str, recipe: str) -> dict[str, Any]:
    try:
        found = load_recipe(recipe)
    except BadSpec as error:
        raise CommandError(f"{error.reason} {error.hint}".strip()) from error
    if found.method != method:
        raise CommandError(f"“{recipe}” is a recipe for {found.method}: rlwhf {found.method}-train.")
    values = found.model_dump(mode="json", exclude={"title", "description", "prompt_format"})
    return {**values, "data": {"prompt_format": found.prompt_format}}


def _files(folder: Path) -> dict[str, str | None]:
    train, held_out = (folder / name for name in ("train.jsonl", "eval.jsonl"))
    if not train.is_file():
        raise CommandError(f"There is no {train}. `rlwhf argilla-export` and `rlwhf dataset` write such folders.")
    has_held_out = held_out.is_file() and held_out.stat().st_size > 0
    return {"train": str(train.absolute()), "eval": str(held_out.absolute()) if has_held_out else None}


def _placed(model: str) -> str:
    """A folder by its whole path, for the run changes into its own; any other name is Hugging Face's."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def _reward(options: dict[str, Any]) -> dict[str, Any] | None:
    parts = []
    if options.get("reward"):
        parts.append({"kind": "rubric", "shape": options["reward"]})
    if options.get("reward_model"):
        parts.append({"kind": "reward_model", "path": _placed(options["reward_model"])})
    return {"parts": parts} if parts else None
