"""Everything that starts training or registers a model. Pages, API, commands and pipelines call these."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic import ValidationError

from accounts import audit
from accounts.hosts import host_allowed
from accounts.models import Endpoint, User
from annotations.models import DatasetVersion
from jobs.hardware import COMPUTE_TAGS
from jobs.models import Job, Pipeline
from jobs.services import JobRefused, job_queue
from jobs.steering import job_prioritise
from jobs.storage.places import is_whole
from training.backends import backend_of
from training.backends.distributed import NotDistributed
from training.backends.swift.options import Refused
from training.data import RowStream
from training.environments import specs_validate
from training.exceptions import BadData, BadSpec
from training.fitting import Fit, fit_of
from training.hardware.memory import is_on_cpu
from training.hardware.profiles import batch_kept, batch_of, lay, load_profile, most_rows
from training.machines import place_of, rooms
from training.model_files import check_model_folder
from training.models import PURPOSES, Artifact, Run
from training.plain import NOT_PLAIN, is_plain
from training.recipes import load_recipe
from training.specs import ModelSpec, RunSpec, artifacts_named, artifacts_placed, faults_of, unknown_fields
from training.teachers import NoSuchTeacher, may_ask, names_teachers, teachers_chosen
from training.trainers import METHODS
from training.trainers.sampling_config import SamplingConfig

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
GENERATE_FILE = "generate.json"
ROWS_CHECKED = 1000
LONGEST_PATH = 500  # as `Artifact.folder` has it
# Addresses of pages, and of the API's operations, beside the runs'.
RESERVED = frozenset({"new", "alignment", "rewards", "profiles", "backends", "check", "rows", "bundle", "estimate"})


class RunRefused(ValueError):  # noqa: N818 - a refusal is no accident
    """A run that cannot work, refused before it is queued. `field` names what to change; the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def run_spec(
    *,
    name: str,
    recipe: str,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> RunSpec:
    """The specification that a recipe gives with a hardware profile laid over it, and `overrides` (dotted field names) over both.

    The paths in it stand for files that may not exist yet; `place_spec` fills them in when the run starts.
    Raises RunRefused that names the field at fault.
    """
    try:
        found = load_recipe(recipe)
    except BadSpec as error:
        raise RunRefused("recipe", f"{error.reason} {error.hint}".strip()) from error
    asked = _model_asked(overrides or {})
    if base is not None and asked is not None:
        raise RunRefused("model", f"The run starts from “{base}”, and model names another one: leave one of the two away.")
    try:
        model = ModelSpec(path=base.name) if base is not None else found.model or asked
        values = found.values(name=name, train="train.jsonl", model=model)
    except BadSpec as error:
        raise RunRefused("base", f"{error.reason} {error.hint}".strip()) from error
    values = _laid_over(values, profile, overrides or {})
    try:
        spec = RunSpec.model_validate(values)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "overrides"
        raise RunRefused(field, faults_of(error)) from error
    for field, fault in unknown_fields(spec).items():
        raise RunRefused(field, fault)
    if not is_plain(spec.model_dump(mode="json")):
        raise RunRefused("overrides", f"The run's specification {NOT_PLAIN}.")
    return spec


def _laid_over(values: dict[str, Any], profile: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values, a profile's over them, and what was asked for over both; the effective batch stays the recipe's."""
    before = values
    if profile is not None:
        try:
            found = load_profile(profile)
            values = lay(values, found, place_of(found.tag)).values
        except BadSpec as error:
            raise RunRefused("profile", f"{error.reason} {error.hint}".strip()) from error
    if overrides.get("hardware.preset", profile) != profile:
        raise RunRefused("profile", "hardware.preset notes which profile was laid: name the profile itself (--profile).")
    for dotted, value in overrides.items():
        values = _with_value(values, dotted.split("."), value)
    if profile is None or not any(name.startswith(("settings", "hardware.distributed")) for name in overrides):
        return values
    whole = overrides.get("settings")
    fixed = {name.removeprefix("settings.") for name in overrides} | set(whole if isinstance(whole, Mapping) else ())
    return batch_kept(values, like=batch_of(before), most=most_rows(before, found), fixed=fixed).values


def _model_asked(overrides: Mapping[str, Any]) -> ModelSpec | None:
    """Stands in for the model that a recipe lacks where the overrides bring one; they are laid over it and checked then."""
    return ModelSpec(path="") if any(name.partition(".")[0] == "model" for name in overrides) else None


def _with_value(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**values, path[0]: value}
    inner = values.get(path[0])
    if isinstance(inner, list):
        return {**values, path[0]: _with_item(inner, path[1:], value, name=path[0])}
    if inner is None:  # a part that the recipe leaves out
        inner = {}
    if not isinstance(inner, Mapping):
        raise RunRefused("overrides", f"“{path[0]}” is a single value and has no “{path[1]}” in it.")
    return {**values, path[0]: _with_value(inner, path[1:], value)}


def _with_item(items: list[Any], path: list[str], value: Any, *, name: str) -> list[Any]:
    """Of a list, items are named by their number, from 0."""
    if not path[0].isdecimal() or int(path[0]) >= len(items):
        raise RunRefused("overrides", f"“{name}” is a list of {len(items)}, and “{path[0]}” is not the number of one of them.")
    at = int(path[0])
    new = _with_value(items[at], path[1:], value) if path[1:] and isinstance(items[at], Mapping) else value
    return [*items[:at], new, *items[at + 1 :]]


def run_queue(
    *,
    name: str,
    recipe: str,
    dataset: DatasetVersion,
    actor: User | None,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    hardware_tag: str = "cpu",
    title: str = "",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
    priority: int = 0,
) -> Run:
    """Queue a training run for a worker with `hardware_tag`, once the jobs in `after` have succeeded, those of the highest
    `priority` first.

    Its artifact's row is made now, and is ready when the run has succeeded. Raises RunRefused.
    """
    after = list(after)
    spec = run_check(
        name=name,
        recipe=recipe,
        dataset=dataset,
        base=base,
        overrides=overrides,
        profile=profile,
        hardware_tag=hardware_tag,
        after=after,
    )
    backend_ask([spec], dataset=dataset, base=base)
    return run_create(
        name=name,
        spec=spec,
        recipe=recipe,
        dataset=dataset,
        base=base,
        actor=actor,
        title=title,
        after=after,
        pipeline=pipeline,
        priority=priority,
    )


@transaction.atomic
def run_create(
    *,
    name: str,
    spec: RunSpec,
    recipe: str,
    dataset: DatasetVersion,
    base: Artifact | None,
    actor: User | None,
    title: str = "",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
    priority: int = 0,
) -> Run:
    """Queue a run that `run_check` let pass and its backend takes: its job, its row and its model's. Raises RunRefused."""
    after, method = list(after), METHODS[spec.method]
    if names_teachers(spec) and not may_ask(actor):
        raise RunRefused("reward", "What an AI teacher is asked costs money: an admin can queue a run that it rewards.")
    kind = Artifact.Kind.ADAPTER if spec.settings.lora else Artifact.Kind.MODEL
    uses = _models_used(spec, waits=bool(after))
    artifact = _artifact_create(name, kind=kind, base=base, purpose=method.produces)
    job = job_queue(
        kind="training.run",
        title=title or f"{method.title}: {name}",
        payload={"run": name},
        hardware_tag=spec.hardware.profile,
        actor=actor,
        after=after,
        pipeline=pipeline,
    )
    if priority:
        job = _prioritised(job, priority, actor)
    run = Run.objects.create(
        name=name,
        method=spec.method,
        recipe=recipe,
        spec=spec.model_dump(mode="json"),
        dataset=dataset,
        base=base,
        artifact=artifact,
        job=job,
        requested_by=actor,
    )
    run.uses.set(uses)
    audit.record(actor=actor, action="training.run_queued", target=run, detail={"recipe": recipe, "tag": job.hardware_tag})
    return run


def _prioritised(job: Job, priority: int, actor: User | None) -> Job:
    try:
        return job_prioritise(job=job, priority=priority, actor=actor)
    except JobRefused as refused:
        raise RunRefused("priority", str(refused)) from refused


def run_check(
    *,
    name: str,
    recipe: str,
    dataset: DatasetVersion,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    hardware_tag: str = "cpu",
    after: Iterable[Job] = (),
) -> RunSpec:
    """The specification of a run that can be queued as asked for; queues nothing. Raises RunRefused."""
    after = list(after)
    _check_name(name)
    overrides = {"hardware.profile": hardware_tag} | dict(overrides or {})
    spec = run_spec(name=name, recipe=recipe, base=base, overrides=overrides, profile=profile)
    _check_request(spec=spec, dataset=dataset, base=base, hardware_tag=hardware_tag, after=after)
    if spec.hardware.profile != hardware_tag:
        both = f"hardware.profile is “{spec.hardware.profile}”, and the worker's tag “{hardware_tag}”"
        raise RunRefused("hardware_tag", f"{both}: say the tag alone.")
    _check_backend(spec)
    _check_one_machine(spec)
    _check_cards(spec)
    _models_used(spec, waits=bool(after))
    spec = _teachers_chosen(spec)
    _check_folders(spec, base)
    _check_tracking(spec)
    if dataset.is_ready:
        _check_rows(spec, dataset)
    _check_memory(spec, dataset, base)
    return spec


def run_estimate(*, spec: RunSpec, dataset: DatasetVersion | None, base: Artifact | None) -> Fit:
    """What a run by this specification takes of memory, and whether the workers of its tag have that."""
    rows = data_paths(dataset)["train"] if dataset is not None and dataset.is_ready else None
    return fit_of(_as_far_as_known(spec, base), rows=Path(rows) if rows else None)


def _check_memory(spec: RunSpec, dataset: DatasetVersion, base: Artifact | None) -> None:
    """A run that cannot fit is not queued, unless it is asked to try."""
    fit = run_estimate(spec=spec, dataset=dataset, base=base)
    if fit.is_refused:
        raise RunRefused(fit.field, f"{fit.sentence} To try it all the same: hardware.must_fit = false.")


def elsewhere_check(
    *,
    name: str,
    recipe: str,
    dataset: DatasetVersion,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    hardware_tag: str = "cpu",
) -> RunSpec:
    """The specification of a run that is carried out where this site is not; its name may be taken here. Raises RunRefused."""
    overrides = {"hardware.profile": hardware_tag} | dict(overrides or {})
    spec = run_spec(name=name, recipe=recipe, base=base, overrides=overrides, profile=profile)
    _check_request(spec=spec, dataset=dataset, base=base, hardware_tag=spec.hardware.profile, after=[])
    _check_backend(spec)
    if names_teachers(spec):
        raise RunRefused("reward", "An AI teacher is asked by this site's own workers: its key does not travel.")
    _models_used(spec, waits=False)
    _check_folders(spec, base)
    _check_rows(spec, dataset)
    return spec


def _teachers_chosen(spec: RunSpec) -> RunSpec:
    try:
        return teachers_chosen(spec)
    except NoSuchTeacher as refused:
        raise RunRefused(refused.field, str(refused)) from refused


def _check_backend(spec: RunSpec) -> None:
    """What carries the run out can do what is asked of it."""
    try:
        backend_of(spec).check(spec)
    except (NotDistributed, Refused) as error:
        raise RunRefused(error.field, f"{error.reason} {error.hint}".strip()) from error
    except BadSpec as error:
        raise RunRefused("backend", f"{error.reason} {error.hint}".strip()) from error


def backend_ask(specs: Iterable[RunSpec], *, dataset: DatasetVersion, base: Artifact | None) -> None:
    """Have the backend's own parser look at runs before they are queued, where it has one; many cost little more than one.

    Raises RunRefused with what the parser says.
    """
    evaluates = dataset.is_ready and data_paths(dataset)["eval"] is not None
    try:
        specs_validate([_as_far_as_known(spec, base) for spec in specs if spec.backend != "trl"], evaluates=evaluates)
    except Refused as error:
        raise RunRefused(error.field, f"{error.reason} {error.hint}".strip()) from error


def _as_far_as_known(spec: RunSpec, base: Artifact | None) -> RunSpec:
    """The specification with the folders of its models, those that are trained already."""
    values = spec.model_dump(mode="json")
    if base is not None and base.ready_at is not None:
        values["model"] = {"path": str(base.model_folder)}
    named = artifacts_named(values)
    ready = {one.name: str(one.model_folder) for one in Artifact.objects.ready().filter(name__in=named)}
    return RunSpec.model_validate(artifacts_placed(values, {name: ready.get(name, name) for name in named}))


def _check_one_machine(spec: RunSpec) -> None:
    """A worker starts processes, but no other workers."""
    if spec.hardware.distributed is not None and spec.hardware.distributed.machines > 1:
        hint = "`rlwhf launch-bundle` writes a command for each machine."
        raise RunRefused("hardware.distributed.machines", f"A worker starts processes on its own machine alone. {hint}")


def _check_cards(spec: RunSpec) -> None:
    """Each process has a card of its own."""
    asked, tag = spec.hardware.distributed, spec.hardware.profile
    if asked is None or is_on_cpu(tag):
        return
    most = max((room.devices for room in rooms(tag)), default=asked.processes)
    if asked.processes > most:
        reason = f"{asked.processes} processes need as many cards, and the best worker for {tag} has {most}."
        raise RunRefused("hardware.distributed.processes", reason)


def _check_folders(spec: RunSpec, base: Artifact | None) -> None:
    """Models whose folders this machine can see; others may lie on a worker's."""
    named = {"model": spec.model, "reference": spec.reference, "teacher": spec.teacher}
    folders = {field: Path(model.path) for field, model in named.items() if model is not None and model.path}
    if base is not None and base.folder:  # one that is still to be trained has none
        folders = {**folders, "base": base.model_folder}
    for field, folder in folders.items():
        try:
            if not folder.is_dir() or not is_whole(folder):  # on a worker's, or on the way from there
                continue
            inner = next((folder / name for name in ("model", "adapter") if (folder / name).is_dir()), folder)
            problem = check_model_folder(inner)
        except OSError:  # not for this process to look at; the worker's may
            continue
        if problem:
            raise RunRefused(field, problem)


def _check_rows(spec: RunSpec, dataset: DatasetVersion) -> None:
    """The first rows of each split; the run itself checks all of them."""
    for path in filter(None, data_paths(dataset).values()):
        try:
            RowStream(Path(path), METHODS[spec.method].columns)[:ROWS_CHECKED]
        except BadData as error:
            raise RunRefused("dataset", f"{error.reason} {error.hint}".strip()) from error
    _check_batch(spec, dataset)


def _check_batch(spec: RunSpec, dataset: DatasetVersion) -> None:
    """Methods that sample groups of answers need as many prompts as one batch takes."""
    if spec.backend != "trl" or not isinstance(spec.settings, SamplingConfig):
        return
    asked, there = spec.hardware.distributed, dataset.counts.get("train")
    processes = asked.processes * asked.machines if asked is not None else 1
    prompts = spec.settings.answers_at_once * processes // spec.settings.num_generations
    if there is not None and prompts > there:
        reason = f"A batch takes {prompts} prompts, and “{dataset}” has {there} to train on."
        hint = "Lower it or gradient_accumulation_steps, or raise num_generations."
        raise RunRefused("settings.per_device_train_batch_size", f"{reason} {hint}")


def _check_tracking(spec: RunSpec) -> None:
    """Metrics leave the machine only for a host that an admin has named."""
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    if spec.tracking.wandb and os.environ.get("WANDB_MODE") != "offline" and not host_allowed(url):
        host = urlsplit(url).hostname
        hint = f"An admin can allow it: Account → Hosts, or `rlwhf hosts allow {host}`."
        raise RunRefused("tracking.wandb", f"This site may not send metrics to {host}. {hint}")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        rule = "a letter or digit, then at most 99 more and dashes"
        raise RunRefused("name", f"The name may hold small letters, digits and dashes: {rule}.")
    if name in RESERVED:
        raise RunRefused("name", f"“{name}” is the address of a page; choose another name.")
    if Artifact.objects.filter(name=name).exists() or Endpoint.objects.filter(name=name).exists():
        raise _taken(name)


def _taken(name: str) -> RunRefused:
    return RunRefused("name", f"There is a model named “{name}” already; choose another name.")


def _artifact_create(name: str, **values: Any) -> Artifact:
    """The model's row. Raises RunRefused where somebody else took the name since it was checked."""
    try:
        with transaction.atomic():
            return Artifact.objects.create(name=name, **values)
    except IntegrityError as error:
        raise _taken(name) from error


def _check_base(spec: RunSpec, base: Artifact) -> None:
    """A model that scores answers cannot be taught to answer; the other way round it gets a new head."""
    wanted = METHODS[spec.method].produces
    if base.purpose not in (Artifact.Purpose.POLICY, wanted):
        raise RunRefused("base", f"“{base}” is {base.purpose_in_words}; {spec.method} starts from a model that answers.")


def check_kind(spec: RunSpec, dataset: DatasetVersion) -> None:
    """Raise RunRefused for a dataset whose rows are not such as the method reads."""
    wanted = METHODS[spec.method].dataset_kind
    if dataset.kind != wanted:
        raise RunRefused("dataset", f"{spec.method.upper()} trains on a {wanted} dataset; “{dataset}” is a {dataset.kind} one.")


def _check_request(*, spec: RunSpec, dataset: DatasetVersion, base: Artifact | None, hardware_tag: str, after: list[Job]) -> None:
    if hardware_tag not in COMPUTE_TAGS:
        raise RunRefused("hardware_tag", f"“{hardware_tag}” is no hardware tag for models; there are {', '.join(COMPUTE_TAGS)}.")
    check_kind(spec, dataset)
    if base is not None:
        _check_base(spec, base)
    if not after:
        if not dataset.is_ready:
            raise RunRefused("dataset", f"“{dataset}” is not built yet.")
        if base is not None and base.ready_at is None:
            raise RunRefused("base", f"“{base}” is not trained yet.")


def _models_used(spec: RunSpec, *, waits: bool) -> list[Artifact]:
    """The models that a spec names beside its base, each of them fit for its part. Raises RunRefused."""
    values = spec.model_dump(mode="json")
    for name in artifacts_named(values["model"]):
        raise RunRefused("model", f"“{name}” is a model that the site knows: name it as the base, not as model.path.")
    found = []
    purposes: dict[str, str] = {"reference": "policy", "teacher": "policy", "reward": "reward_model"}
    for field, purpose in (purposes | {"settings": METHODS[spec.method].produces}).items():  # whose rows settings.ewc keeps
        for name in sorted(artifacts_named(values[field])):
            artifact = Artifact.objects.filter(name=name).first()
            if artifact is None:
                raise RunRefused(field, f"There is no model named “{name}”.")
            if artifact.ready_at is None and not waits:
                raise RunRefused(field, f"“{name}” is not trained yet.")
            if artifact.purpose != purpose:
                raise RunRefused(field, f"“{name}” is {artifact.purpose_in_words}; the {field} must be {PURPOSES[purpose]}.")
            found.append(artifact)
    return found


@transaction.atomic
def generation_queue(
    *,
    artifact: Artifact,
    prompts: Path,
    actor: User | None,
    samples: int = 1,
    temperature: float = 1.0,
    max_new_tokens: int = 64,
    seed: int = 0,
    hardware_tag: str = "cpu",
    after: Iterable[Job] = (),
    pipeline: Pipeline | None = None,
) -> Job:
    """Queue the answering of every prompt in a JSON-lines file, `samples` times each; the job's folder gets `answers.jsonl`."""
    return job_queue(
        kind="training.generate",
        title=f"Answers of {artifact.name}",
        payload={
            "artifact": artifact.name,
            "request": {
                "prompts": str(prompts),
                "samples": samples,
                "temperature": temperature,
                "max_new_tokens": max_new_tokens,
                "seed": seed,
                "hardware": {"profile": hardware_tag},
            },
        },
        hardware_tag=hardware_tag,
        actor=actor,
        after=after,
        pipeline=pipeline,
    )


@transaction.atomic
def artifact_publish(*, run: Run, folder: Path, metrics: dict[str, Any]) -> Artifact:
    """Say that the run's model is written and may be used."""
    artifact = run.artifact
    artifact.folder, artifact.metrics, artifact.ready_at = str(folder), metrics, timezone.now()
    artifact.save(update_fields=["folder", "metrics", "ready_at"])
    asked = run.requested_by.get_username() if run.requested_by else None
    audit.record(
        actor=None, action="training.artifact_published", target=artifact, detail={"folder": str(folder), "requested_by": asked}
    )
    return artifact


@transaction.atomic
def artifact_register(*, name: str, folder: Path, actor: User | None) -> Artifact:
    """Make a model that was not trained here known: a folder with safetensors weights and no code. Raises RunRefused."""
    _check_name(name)
    try:
        problem = check_model_folder(folder)
    except OSError as error:
        problem = f"{folder} cannot be read: {error.strerror}."
    if len(str(folder.resolve())) > LONGEST_PATH:
        problem = f"The folder's path may have {LONGEST_PATH} characters."
    if problem:
        raise RunRefused("folder", problem)
    kind = Artifact.Kind.ADAPTER if (folder / "adapter_config.json").exists() else Artifact.Kind.MODEL
    artifact = _artifact_create(name, kind=kind, folder=str(folder.resolve()), ready_at=timezone.now())
    audit.record(actor=actor, action="training.artifact_registered", target=artifact, detail={"folder": str(folder)})
    return artifact


def run_folder(run: Run) -> Path:
    """Where a run's folder lies once the run has ended."""
    return Path(settings.RLWHF_HOME) / "artifacts" / run.method / run.name


def data_paths(dataset: DatasetVersion) -> dict[str, str | None]:
    """The files of a dataset version that training reads; an empty eval split counts as none."""
    folder = Path(dataset.folder)
    held_out = folder / "eval.jsonl"
    has_held_out = held_out.exists() and held_out.stat().st_size > 0
    return {"train": str(folder / "train.jsonl"), "eval": str(held_out) if has_held_out else None}
