"""Whether a run can work, before it is queued: each part of what it asks held against what there is."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from accounts.hosts import host_allowed
from annotations.models import DatasetVersion
from jobs.hardware import COMPUTE_TAGS
from jobs.models import Job
from training.backends import backend_of
from training.backends.distributed import NotDistributed
from training.backends.swift.options import Refused
from training.environments import specs_validate
from training.exceptions import BadSpec
from training.fitting import Fit, fit_of
from training.hardware.memory import is_on_cpu
from training.machines import rooms
from training.models import Artifact
from training.services.data import check_kind, data_paths, rows_check
from training.services.models import as_far_as_known, base_check, folders_check, models_used
from training.services.refusals import RunRefused, name_check
from training.services.specifying import run_spec
from training.specs import RunSpec
from training.teachers import NoSuchTeacher, names_teachers, teachers_chosen


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
    name_check(name)
    overrides = {"hardware.profile": hardware_tag} | dict(overrides or {})
    spec = run_spec(name=name, recipe=recipe, base=base, overrides=overrides, profile=profile)
    _check_request(spec=spec, dataset=dataset, base=base, hardware_tag=hardware_tag, after=after)
    if spec.hardware.profile != hardware_tag:
        both = f"hardware.profile is “{spec.hardware.profile}”, and the worker's tag “{hardware_tag}”"
        raise RunRefused("hardware_tag", f"{both}: say the tag alone.")
    _check_backend(spec)
    _check_one_machine(spec)
    _check_cards(spec)
    models_used(spec, waits=bool(after))
    spec = _teachers_chosen(spec)
    folders_check(spec, base)
    _check_tracking(spec)
    if dataset.is_ready:
        rows_check(spec, dataset)
    _check_memory(spec, dataset, base)
    return spec


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
    models_used(spec, waits=False)
    folders_check(spec, base)
    rows_check(spec, dataset)
    return spec


def _check_request(*, spec: RunSpec, dataset: DatasetVersion, base: Artifact | None, hardware_tag: str, after: list[Job]) -> None:
    if hardware_tag not in COMPUTE_TAGS:
        raise RunRefused("hardware_tag", f"“{hardware_tag}” is no hardware tag for models; there are {', '.join(COMPUTE_TAGS)}.")
    check_kind(spec, dataset)
    if base is not None:
        base_check(spec, base)
    if not after:
        if not dataset.is_ready:
            raise RunRefused("dataset", f"“{dataset}” is not built yet.")
        if base is not None and base.ready_at is None:
            raise RunRefused("base", f"“{base}” is not trained yet.")


def run_estimate(*, spec: RunSpec, dataset: DatasetVersion | None, base: Artifact | None) -> Fit:
    """What a run by this specification takes of memory, and whether the workers of its tag have that."""
    rows = data_paths(dataset)["train"] if dataset is not None and dataset.is_ready else None
    return fit_of(as_far_as_known(spec, base), rows=Path(rows) if rows else None)


def _check_memory(spec: RunSpec, dataset: DatasetVersion, base: Artifact | None) -> None:
    """A run that cannot fit is not queued, unless it is asked to try."""
    fit = run_estimate(spec=spec, dataset=dataset, base=base)
    if fit.is_refused:
        raise RunRefused(fit.field, f"{fit.sentence} To try it all the same: hardware.must_fit = false.")


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
        specs_validate([as_far_as_known(spec, base) for spec in specs if spec.backend != "trl"], evaluates=evaluates)
    except Refused as error:
        raise RunRefused(error.field, f"{error.reason} {error.hint}".strip()) from error


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


def _check_tracking(spec: RunSpec) -> None:
    """Metrics leave the machine only for a host that an admin has named."""
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    if spec.tracking.wandb and os.environ.get("WANDB_MODE") != "offline" and not host_allowed(url):
        host = urlsplit(url).hostname
        hint = f"An admin can allow it: Account → Hosts, or `rlwhf hosts allow {host}`."
        raise RunRefused("tracking.wandb", f"This site may not send metrics to {host}. {hint}")
