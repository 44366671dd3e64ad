"""rlwhf self-reward: a model answers prompts, a judge scores the answers, and training rows come of it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.teachers.prompts import prompt_names
from jobs.child import write_whole
from jobs.hardware import COMPUTE_TAGS
from training.exceptions import BadSpec
from training.self_reward.spec import DEFAULT_PROMPT, SPEC, read_self_reward_spec


class Command(BaseCommand):
    help = "Self-rewarding data: rlwhf self-reward FOLDER --model MODEL --prompts FILE; again, it goes on where it was stopped"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="where all is written")
        parser.add_argument("--model", help="a model's folder, or its name at the Hugging Face hub")
        parser.add_argument("--prompts", type=Path, metavar="FILE", help="JSON lines {id, prompt, gold_answer}")
        parser.add_argument("--samples", type=int, default=4, help="answers to each prompt (default: 4)")
        parser.add_argument("--temperature", type=float, default=1.0, help="of the answers (default: 1)")
        parser.add_argument("--max-new-tokens", type=int, default=256)
        parser.add_argument("--batch-size", type=int, default=64)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--tag", default="cpu", choices=COMPUTE_TAGS, help="hardware to compute on (default: cpu)")
        parser.add_argument("--judge-url", help="a service that speaks OpenAI's protocol (default: the model judges itself)")
        parser.add_argument("--judge-model", help="the model there; the key is read from RLWHF_ENDPOINT_KEY")
        parser.add_argument(
            "--judge-prompt",
            default=DEFAULT_PROMPT,
            help=f"{', '.join(prompt_names())}, or a JSON file (default: {DEFAULT_PROMPT})",
        )
        parser.add_argument("--judge-max-tokens", type=int, default=128)
        parser.add_argument("--reference", action="store_true", help="tell the judge the gold answers")
        parser.add_argument("--min-gap", type=float, default=1.0, help="between a pair's scores, −2 to +2 (default: 1)")
        parser.add_argument("--weights-temperature", type=float, default=1.0, help="of the groups' softmax (default: 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"].resolve()
        if options["model"] or options["prompts"]:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / SPEC, json.dumps(_values(options), indent=2, ensure_ascii=False).encode())
        try:
            read_self_reward_spec(folder)
        except BadSpec as error:
            raise CommandError(f"{error.reason} {error.hint}".strip()) from error
        self.stdout.flush()
        # This process becomes the work: nothing of the site is in it.
        os.execv(sys.executable, [sys.executable, "-m", "training.self_reward", str(folder)])  # noqa: S606 (no shell is meant)


def _values(options: dict[str, Any]) -> dict[str, Any]:
    if not options["model"] or not options["prompts"]:
        raise CommandError("Give both --model and --prompts; or neither, for a folder that has its self_reward.json.")
    if bool(options["judge_url"]) != bool(options["judge_model"]):
        raise CommandError("A service is named by --judge-url and --judge-model together.")
    model = Path(options["model"])
    judge: dict[str, Any] = {
        "prompt": _prompt(options["judge_prompt"]),
        "max_tokens": options["judge_max_tokens"],
        "uses_reference": options["reference"],
    }
    if options["judge_url"]:
        judge["service"] = {"base_url": options["judge_url"].rstrip("/"), "model": options["judge_model"]}
    same = ("samples", "temperature", "max_new_tokens", "batch_size", "seed", "min_gap", "weights_temperature")
    return {
        "model": str(model.resolve()) if model.is_dir() else options["model"],
        "prompts": str(options["prompts"].resolve()),
        "judge": judge,
        "hardware": {"profile": options["tag"]},
        **{name: options[name] for name in same},
    }


def _prompt(named: str) -> Any:
    if not named.endswith(".json"):
        return named
    try:
        return json.loads(Path(named).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{named} cannot be read: {error}") from error
