"""What pages, API and commands read about runs and models."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from jobs.models import Pipeline
from training.completions import FILE as COMPLETIONS
from training.completions import Completions, read_completions
from training.models import Artifact, Run
from training.recipes import Recipe, load_recipe, recipe_paths
from training.recipes.text import shown
from training.reward_parts import RewardReport, report
from training.sweeps import SWEEP
from training.trainers import METHODS


def run_list() -> QuerySet[Run]:
    return Run.objects.select_related("job", "job__pipeline", "dataset", "base", "artifact", "requested_by")


def run_get(name: str) -> Run:
    return run_list().get(name=name.replace("\x00", ""))


def run_fallbacks(run: Run) -> list[dict[str, Any]]:
    """The steps down that a run took, oldest first, each with its changes as `{field, before, after}`."""
    return [
        {
            **row,
            "time": datetime.fromisoformat(row["time"]),
            "changes": [
                {"field": name, "before": row["before"].get(name), "after": after} for name, after in row["after"].items()
            ],
        }
        for row in run.fallbacks
    ]


def artifact_named(name: str) -> bool:
    """Whether a model of the site's own has that name, ready or not."""
    return Artifact.objects.filter(name=name).exists()


def artifact_list() -> QuerySet[Artifact]:
    return Artifact.objects.ready().select_related("base", "run", "run__dataset")


def artifact_lineage(artifact: Artifact) -> list[Artifact]:
    """The models that this one was trained from, oldest first, itself last."""
    chain = [artifact]
    while chain[0].base is not None:
        chain.insert(0, chain[0].base)
    return chain


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe as lists show it."""

    name: str
    recipe: Recipe


def recipe_list() -> list[NamedRecipe]:
    """Every recipe, by its method and name."""
    return _recipes(tuple((name, path.stat().st_mtime_ns) for name, path in recipe_paths().items()))


@lru_cache(maxsize=1)
def _recipes(stamps: tuple[tuple[str, int], ...]) -> list[NamedRecipe]:
    """As long as no file has changed."""
    named = [NamedRecipe(name, load_recipe(name)) for name, _ in stamps]
    return sorted(named, key=lambda one: (list(METHODS).index(one.recipe.method), one.name))


@dataclass(frozen=True)
class ModelFile:
    name: str
    size: int


def artifact_files(artifact: Artifact) -> list[ModelFile]:
    """The files of a model folder, by name."""
    folder = artifact.model_folder
    if not folder.is_dir():
        return []
    return [
        ModelFile(str(path.relative_to(folder)), path.stat().st_size)
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    ]


def flat_fields(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested values as flat (dotted name, value) pairs, for showing."""
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            rows += flat_fields(value, f"{name}.")
        else:
            rows.append((name, value))
    return rows


def run_command(
    *,
    name: str,
    recipe: str,
    dataset: str,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    hardware_tag: str = "cpu",
    priority: int = 0,
) -> str:
    """The shell command that queues a run as `run_queue` would."""
    words = ["rlwhf", "train", "--recipe", recipe, "--dataset", dataset]
    if base is not None:
        words += ["--base", base.name]
    words += ["--name", name, *(["--profile", profile] if profile else []), "--tag", hardware_tag]
    for field, value in (overrides or {}).items():
        words += ["--set", f"{field}={'null' if value is None else shown(value)}"]
    if priority:
        words += ["--priority", str(priority)]
    return shlex.join(words)


def run_request(
    *,
    name: str,
    recipe: str,
    dataset: str,
    base: Artifact | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    hardware_tag: str = "cpu",
    priority: int = 0,
) -> str:
    """The body of the API request that queues the same run."""
    values = {"name": name, "recipe": recipe, "dataset": dataset, "base": base.name if base else None}
    rest = {"profile": profile, "hardware_tag": hardware_tag, "overrides": dict(overrides or {}), "priority": priority}
    return json.dumps({name: value for name, value in (values | rest).items() if value}, indent=2, ensure_ascii=False)


def sweep_list() -> QuerySet[Pipeline]:
    return Pipeline.objects.filter(kind=SWEEP).select_related("requested_by").order_by("-id")


def reward_report(run: Run, *, step: int | None = None) -> RewardReport:
    """Which part of a run's reward moved what, from a bounded part of its completions.jsonl."""
    found = read_completions(Path(run.job.folder) / COMPLETIONS) if run.job.folder else Completions([])
    return report(found, run.spec.get("reward"), step=step)
