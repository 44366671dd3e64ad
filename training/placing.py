"""What a run or an evaluation reads, on the machine where it takes place: fetched and checked where it lies elsewhere.

Rows name folders as the site sees them. On a machine with a state folder of its own, datasets and models come through the
storage.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from django.db import OperationalError

from annotations.dataset_files import read_manifest, verify
from annotations.models import DatasetVersion
from jobs.child import write_json
from jobs.storage import places
from jobs.storage.folders import here
from jobs.storage.stores import StorageError
from training.models import Artifact

# In a job's folder: adapters whose base lies elsewhere than where they were trained, as links with a configuration of their own.
PLACED = ".placed"
ADAPTER = "adapter_config.json"
BASE = "base_model_name_or_path"


def dataset_here(dataset: DatasetVersion) -> Path:
    """The folder of a dataset version. Fetched rows are those that the version was published with, or StorageError is raised."""
    folder = here(dataset.folder)
    if folder != Path(dataset.folder):
        told = read_manifest(folder)["content_hash"]
        if told != dataset.content_hash:
            raise StorageError(f"“{dataset}” has the content {dataset.content_hash[:12]}, and what was fetched {told[:12]}.")
        verify(folder)
    return folder


def model_here(artifact: Artifact, folder: Path) -> Path:
    """The folder that `from_pretrained` loads. An adapter from another machine is placed below `folder`, that of the job, beside
    the base that it was trained on.
    """
    found = artifact.model_folder_in(here(artifact.folder))
    base = _base_of(found)
    if base is None or not Path(base).is_absolute() or Path(base).is_dir():
        return found
    if artifact.base is not None:
        return _with_base(found, model_here(artifact.base, folder), folder / PLACED / artifact.name)
    return _with_base(found, here(base), folder / PLACED / artifact.name)


class ModelNotHere(ValueError):  # noqa: N818 (says what is the matter)
    """What somebody named is no model that can be asked on this machine."""


@dataclass(frozen=True)
class NamedModel:
    """A model by name or by folder, where it lies on this machine; `base` is the model it was trained from, where it has one."""

    name: str
    path: Path
    base: Path | None = None


def model_named(wanted: str, folder: Path) -> NamedModel:
    """The model that somebody names, or whose folder; adapters are placed below `folder`. Raises ModelNotHere."""
    if Path(wanted).is_dir():
        return NamedModel(Path(wanted).resolve().name, Path(wanted).resolve())
    try:
        found = Artifact.objects.select_related("base").filter(name=wanted).first()
    except OperationalError as error:
        raise ModelNotHere(f"“{wanted}” is no folder, and the site's models cannot be looked up: {error}") from error
    if found is None:
        raise ModelNotHere(f"There is no model named “{wanted}”, and no such folder; `rlwhf models` lists the models.")
    if found.ready_at is None:
        raise ModelNotHere(f"“{found}” is not trained yet.")
    if found.purpose != Artifact.Purpose.POLICY:
        raise ModelNotHere(f"“{found}” answers nothing: it is {found.purpose_in_words}.")
    base = found.base if found.base is not None and found.base.purpose == Artifact.Purpose.POLICY else None
    try:
        return NamedModel(found.name, model_here(found, folder), model_here(base, folder) if base is not None else None)
    except (StorageError, OSError) as error:
        raise ModelNotHere(f"“{found}” cannot be had on this machine: {error}") from error


def _base_of(folder: Path) -> str | None:
    """The model that an adapter sits on; None for what is no adapter."""
    try:
        found = json.loads((folder / ADAPTER).read_text(encoding="utf-8")).get(BASE)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) and found else None


def _with_base(adapter: Path, base: Path, placed: Path) -> Path:
    target = placed / "adapter"
    target.mkdir(parents=True, exist_ok=True)
    beside = adapter.parent / "tokenizer"
    links = {target / path.name: path for path in adapter.iterdir() if path.name != ADAPTER}
    if beside.is_dir():
        links[placed / "tokenizer"] = beside
    for link, path in links.items():
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    config = json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))
    write_json(target / ADAPTER, config | {BASE: str(base)})
    return target


def bases_named(folder: Path, base: Artifact | None) -> None:
    """Have the adapters that a run wrote name their base as rows do, before its folder leaves this machine."""
    if base is None or not places.is_elsewhere():
        return
    for path in [folder / "adapter" / ADAPTER, *folder.glob(f"members/*/adapter/{ADAPTER}")]:
        found = _base_of(path.parent)
        if found is not None and Path(found).is_absolute():
            config = json.loads(path.read_text(encoding="utf-8"))
            write_json(path, config | {BASE: base.folder})
