"""The stages of `rlwhf pipeline`: what each takes from the command line, and which service it calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.text import slugify

from accounts.models import User
from accounts.shell import fields_set
from annotations.models import DatasetVersion
from evaluation.models import Benchmark
from evaluation.self_rewarding.services import PIPELINE_KIND, LoopRefused, loop_resume, loop_start, stage_continue
from evaluation.self_rewarding.settings import STAGES, LoopSettings, Stage, recipe_for
from evaluation.self_rewarding.sources import (
    DPO_DATASETS,
    GRPO_DATASETS,
    HUB,
    PLAIN_PROMPTS,
    SELF_REWARD,
    SFT_DATASETS,
    Switch,
    convert,
    fetch,
)
from jobs.hardware import COMPUTE_TAGS
from jobs.models import Pipeline
from training.models import Artifact
from training.services import artifact_register, run_queue

Write = Callable[[str], object]
PREPARE: tuple[Stage, ...] = ("generate", "judge", "clean")
METHODS = {"sft": "sft", "dpo": "dpo", "grpo": "offline-grpo", "gspo": "offline-gspo"}
STAGE_NAMES = ("fetch", "convert", *METHODS, *STAGES, "prepare-dpo", "all")
DEMO = {"prompts_per_round": 32, "samples": 4, "max_steps": 20}
# Of LoopSettings, what has a flag of the same name.
LOOP_FLAGS = (
    "prompts", "rounds", "method", "recipe", "judge", "judge_prompt", "judge_max_tokens", "uses_reference", "samples",
    "temperature", "max_new_tokens", "prompts_per_round", "min_gap", "weights_temperature", "metric", "stop", "margin", "seed",
    "sft_recipe",
)  # fmt: skip


def add_stage_flags(parser: CommandParser) -> None:
    parser.add_argument("--of", type=int, metavar="N", help="the loop whose next stage this is")
    parser.add_argument("--model-path", metavar="MODEL", help="a model of this site by name, or a model's folder")
    parser.add_argument("--name", default="", help="of what is made: a dataset version, a run, or a folder's model")
    parser.add_argument("--benchmark", default="", help="its hash, the beginning of it, or its name (the newest)")
    parser.add_argument("--tag", default="cpu", choices=COMPUTE_TAGS, help="hardware to compute on (default: cpu)")
    parser.add_argument(
        "--mode", choices=("demo", "full"), default="full", help="demo: 32 prompts a round and 20 steps, to see it turn"
    )
    data = parser.add_argument_group("datasets")
    data.add_argument("--sft-dataset", default="", help=f"{', '.join(SFT_DATASETS)}, or a dataset version")
    data.add_argument("--dpo-dataset", default="", help=f"{SELF_REWARD}, {', '.join(DPO_DATASETS)}, or a dataset version")
    data.add_argument("--grpo-dataset", default="", help=f"{SELF_REWARD}, {', '.join(GRPO_DATASETS)}, or a dataset version")
    data.add_argument(
        "--prompts-dataset",
        default="",
        help="convert: a format, for a dataset of prompts; auto, or prompts",
    )
    data.add_argument("--url", default="", help="fetch: a file's address; or hub:OWNER/NAME")
    data.add_argument("--split", default="", help="fetch: of a hub's dataset")
    data.add_argument("--from", dest="files", nargs="+", type=Path, metavar="FILE", help="convert: files that are here")
    data.add_argument("--num", type=int, metavar="N", help="fetch from a hub, convert: the first N records")
    _add_loop_flags(parser.add_argument_group("rounds; what each is and its default: docs/self-reward.md"))
    runs = parser.add_argument_group("training")
    runs.add_argument("--max-steps", type=int)
    runs.add_argument("--precision", choices=("float32", "bf16", "bfloat16", "fp16", "float16"))
    runs.add_argument("--gspo-temperature", type=float)
    runs.add_argument("--gspo-kl", type=float)
    runs.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="of the run's specification")


def _add_loop_flags(group: Any) -> None:
    group.add_argument("--prompts", help="a dataset version of prompts, or a file of JSON lines {id, prompt, gold_answer}")
    kinds = {"rounds": int, "judge_max_tokens": int, "samples": int, "max_new_tokens": int, "prompts_per_round": int, "seed": int,
             "temperature": float, "min_gap": float, "weights_temperature": float, "margin": float}  # fmt: skip
    for name in LOOP_FLAGS[1:]:
        field, flag = LoopSettings.model_fields[name], "--" + name.replace("_", "-")
        about = (field.description or "").replace("%", "%%")
        if name == "uses_reference":
            group.add_argument("--reference", dest=name, action="store_const", const=True, help=about)
            continue
        choices = {"method": ("dpo", "grpo", "gspo"), "stop": ("fell", "not-shown", "never")}.get(name)
        flag = "--stop-when" if name == "stop" else flag
        group.add_argument(flag, dest=name, type=kinds.get(name, str), choices=choices, help=about)


def stage_run(options: dict[str, Any], *, actor: User | None, write: Write) -> Pipeline | None:
    """Do a stage, or queue it; returns the loop that it belongs to. Raises what the services raise, and CommandError."""
    stage = options["stage"]
    if stage in ("fetch", "convert"):
        if stage == "fetch":
            _fetch(options, write)
        else:
            _convert(options, actor, write)
        return None
    if stage in METHODS and (dataset := _dataset(options, stage)) is not None:
        _run(options, stage, dataset, actor, write)
        return None
    if options["of"] is None:
        return _start(options, actor, write)
    return _continue(options, actor, write)


def loop_numbered(number: int | None) -> Pipeline:
    found = Pipeline.objects.filter(pk=number or 0, kind=PIPELINE_KIND).first()
    if found is None:
        raise CommandError(f"There is no loop {number}; `rlwhf pipeline list` lists them." if number else "Say which loop.")
    return found


def _fetch(options: dict[str, Any], write: Write) -> None:
    wanted, switch = options["url"], _switch(options)
    if not wanted and switch is not None and switch.hub:
        wanted = HUB + switch.hub
    if not wanted:
        raise CommandError("Say what to fetch: --url https://… or hub:OWNER/NAME, or a switch that is known on the hub.")
    found = fetch(wanted, most=options["num"], split=options["split"])
    counted = "" if found.records is None else f", {found.records} records"
    write(f"{found.path}: {found.size:,} bytes{counted}, SHA-256 {found.sha256}")


def _convert(options: dict[str, Any], actor: User | None, write: Write) -> None:
    switch, named = _switch(options), _switch_name(options)
    if switch is None or not options["files"]:
        raise CommandError("Say --from which FILE, and what: --sft-dataset, --dpo-dataset, --grpo-dataset or --prompts-dataset.")
    version = convert(
        paths=options["files"],
        name=options["name"] or named,
        kind=switch.kind,
        source_format=switch.source_format,
        most=options["num"],
        actor=actor,
    )
    write(f"Dataset version {version.name}: {version.counts.get('train', 0)} {version.kind} rows, gate {version.verdict}.")


def _switch_name(options: dict[str, Any]) -> str:
    if options["prompts_dataset"]:
        return "prompts" if options["prompts_dataset"] in ("auto", PLAIN_PROMPTS) else f"{options['prompts_dataset']}-prompts"
    return str(options["sft_dataset"] or options["dpo_dataset"] or options["grpo_dataset"])


def _switch(options: dict[str, Any]) -> Switch | None:
    """What a switch of fetch or convert stands for."""
    if options["prompts_dataset"]:
        return Switch(options["prompts_dataset"], "prompts")
    for name, known in (("sft_dataset", SFT_DATASETS), ("dpo_dataset", DPO_DATASETS), ("grpo_dataset", GRPO_DATASETS)):
        if options[name] and options[name] not in known:
            raise CommandError(f"--{name.replace('_', '-')} {options[name]}: there are {', '.join(known)}.")
        if options[name]:
            return known[options[name]]
    return None


def _dataset(options: dict[str, Any], stage: str) -> DatasetVersion | None:
    """The dataset version that a training stage is switched to; None for what a loop made itself."""
    named = options["grpo_dataset" if stage == "gspo" else f"{stage}_dataset"]
    if stage != "sft" and named in ("", SELF_REWARD):
        return None
    if not named:
        raise CommandError(f"Say on what: --sft-dataset {', '.join(SFT_DATASETS)}, or a dataset version.")
    found = DatasetVersion.objects.filter(name=named).first()
    if found is None:
        hint = f"convert it first: rlwhf pipeline --stage convert --{stage}-dataset {named} --from FILE"
        raise CommandError(f"There is no dataset version “{named}”: {hint}")
    return found


def _run(options: dict[str, Any], stage: str, dataset: DatasetVersion, actor: User | None, write: Write) -> None:
    base = _model(options, actor)
    run = run_queue(
        name=options["name"] or slugify(f"{base.name}-{stage}"),
        recipe=options["recipe"] or recipe_for(METHODS[stage], options["tag"]),
        dataset=dataset,
        base=base,
        overrides=_overrides(options),
        hardware_tag=options["tag"],
        actor=actor,
    )
    write(f"Run {run.name} is queued: {base.name} by {stage.upper()} on {dataset.name}.")


def _start(options: dict[str, Any], actor: User | None, write: Write) -> Pipeline:
    stage = options["stage"]
    stages = {"all": STAGES, "prepare-dpo": PREPARE, "generate": STAGES[:1]}.get(stage)
    if stages is None:
        raise CommandError(f"Of which loop is {stage} the next? --of N; a new loop begins with generate, prepare-dpo or all.")
    if not options["prompts"]:
        raise CommandError("Say what to ask: --prompts, a dataset version of prompts or a file.")
    values = {name: options[name] for name in LOOP_FLAGS if options[name] is not None}
    values |= {
        "model": _model(options, actor).name,
        "benchmark": _benchmark(options["benchmark"]).hash,
        "hardware_tag": options["tag"],
        "overrides": _overrides(options),
        "sft_dataset": options["sft_dataset"],
    }
    if Path(values["prompts"]).is_file():
        values["prompts"] = str(Path(values["prompts"]).resolve())
    if options["mode"] == "demo":
        values = {name: DEMO[name] for name in ("prompts_per_round", "samples")} | values
    pipeline = loop_start(wanted=LoopSettings.model_validate(values), actor=actor, stages=stages)
    write(f"Loop {pipeline.pk}: {pipeline.jobs.count()} jobs are queued. `rlwhf pipeline show {pipeline.pk}` tells how it goes.")
    return pipeline


def _continue(options: dict[str, Any], actor: User | None, write: Write) -> Pipeline:
    pipeline, stage = loop_numbered(options["of"]), options["stage"]
    if stage == "all":
        loop_resume(pipeline=pipeline, actor=actor)
        write(f"Loop {pipeline.pk} goes on to its end.")
        return pipeline
    method = stage if stage in METHODS else None
    single: Stage = "train" if method else stage
    stages = PREPARE if stage == "prepare-dpo" else (single,)
    for one in stages:
        if method and method != pipeline.payload["settings"]["method"]:
            raise LoopRefused("stage", f"This loop trains by {pipeline.payload['settings']['method']}, which its rows are for.")
        job = stage_continue(pipeline=pipeline, stage=one, actor=actor)
        write(f"{job.title} is queued.")
    return pipeline


def _model(options: dict[str, Any], actor: User | None) -> Artifact:
    """By its name; or the one that is registered for a folder, which is registered where there is none."""
    wanted = options["model_path"]
    if not wanted:
        raise CommandError("Name the model: --model-path, a model of this site or a folder.")
    if (found := Artifact.objects.filter(name=wanted).first()) is not None:
        return found
    folder = Path(wanted).resolve()
    if not folder.is_dir():
        raise CommandError(f"There is no model named “{wanted}”, and no such folder; `rlwhf models` lists the models.")
    known = Artifact.objects.filter(folder=str(folder)).first()
    return known or artifact_register(name=options["name"] or slugify(folder.name), folder=folder, actor=actor)


def _benchmark(named: str) -> Benchmark:
    by_hash = list(Benchmark.objects.filter(hash__startswith=named)[:2]) if len(named) >= 6 else []
    found = by_hash[0] if len(by_hash) == 1 else Benchmark.objects.filter(name=named).first()
    if found is None:
        known = ", ".join(Benchmark.objects.values_list("name", flat=True)[:10]) or "none yet: `rlwhf benchmarks` imports them"
        raise CommandError(f"Name the benchmark that rounds are measured on: --benchmark. There are: {known}.")
    return found


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """The flags of runs as dotted fields; --set comes last."""
    steps = options["max_steps"] or (DEMO["max_steps"] if options["mode"] == "demo" else None)
    short = {"bf16": "bfloat16", "fp16": "float16"}
    flags = {
        "settings.max_steps": steps,
        "settings.gspo_temperature": options["gspo_temperature"],
        "settings.gspo_kl": options["gspo_kl"],
        "hardware.precision": short.get(options["precision"], options["precision"]),
    }
    return {name: value for name, value in flags.items() if value is not None} | _dotted(fields_set(options["set"]))


def _dotted(values: dict[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _dotted(value, f"{at}{name}.") if isinstance(value, dict) else {f"{at}{name}": value}
    return found
