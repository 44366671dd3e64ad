"""What pages, API and commands read about runs and models."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from training.models import Artifact, Run
from training.recipes import Recipe, load_recipe, recipe_paths
from training.trainers import METHODS


def run_list() -> QuerySet[Run]:
    return Run.objects.select_related("job", "dataset", "base", "artifact", "requested_by")


def run_get(name: str) -> Run:
    return run_list().get(name=name)


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
    named = [NamedRecipe(name, load_recipe(name)) for name in recipe_paths()]
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


def run_command(values: dict[str, Any]) -> str:
    """The shell command that queues the same run as the filled-in launch form."""
    words = ["rlwhf", "train", "--recipe", values["recipe"], "--dataset", values["dataset"].name]
    if values.get("base"):
        words += ["--base", values["base"].name]
    words += ["--name", values["name"], "--tag", values["hardware_tag"]]
    for field, value in values.get("overrides", {}).items():
        words += ["--set", f"{field}={json.dumps(value)}"]
    return shlex.join(words)
