"""A specification whose paths are those of this machine, as one that can be carried elsewhere: files go along, and what is a
model folder gets a place in the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from training.backends.bundle import Content
from training.folder import rows_file
from training.specs import RunSpec

# What a run in its child process imports of this site: all of it needs neither Django nor a database.
CODE: Final = (
    "training", "accounts/__init__.py", "accounts/chat", "jobs/__init__.py", "jobs/child.py", "jobs/disks.py",
    "jobs/processors.py", "jobs/site_secrets.py", "jobs/tools.py",
    "annotations/__init__.py", "annotations/confidence.py", "annotations/confidence_words.toml", "annotations/rubric.py",
    "annotations/rubrics", "annotations/numerals.py", "annotations/stances.py", "annotations/teachers", "annotations/verdicts.py",
    "annotations/verdict_phrases.toml", "annotations/verdict_phrases_pt.toml",
)  # fmt: skip
NOT_CODE: Final = frozenset({"management", "migrations", "templatetags", "views", "__pycache__"})
CODE_SUFFIXES: Final = frozenset({".py", ".toml", ".txt", ".json"})
CODE_FOLDER: Final = "code"
ADAPTER_FILE: Final = "adapter_config.json"


@dataclass
class Carried:
    """A specification with the paths that it has in a bundle, and by their place what goes along: its rows and what is written
    for it, the files that it names by their paths, and the model folders.
    """

    values: dict[str, Any]
    files: dict[str, Content] = field(default_factory=dict)
    named: dict[str, Path] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)

    @property
    def spec(self) -> RunSpec:
        return RunSpec.model_validate(self.values)


def carried(spec: RunSpec) -> Carried:
    """The specification as it is in a bundle; every path in it that is a file or a folder here is taken along."""
    found = Carried(spec.model_dump(mode="json"))
    for split in ("train", "eval"):
        if path := found.values["data"][split]:
            found.files[f"data/{split}.jsonl"] = Path(path)
            found.values["data"][split] = f"data/{split}.jsonl"
    if spec.settings.ewc is not None:  # which may name a folder that holds rows, and no model
        found.values["settings"]["ewc"]["rows"] = str(rows_file(spec.settings.ewc.rows).absolute())
    found.values = {name: value if name == "data" else _moved(value, found) for name, value in found.values.items()}
    return found


def _moved(value: Any, found: Carried) -> Any:
    if isinstance(value, Mapping):
        return {name: _moved(inner, found) for name, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner, found) for inner in value]
    if not isinstance(value, str) or not Path(value).is_absolute():
        return value
    if Path(value).is_dir():
        return _model_placed(Path(value), found)
    return _file_placed(Path(value), found) if Path(value).is_file() else value


def _file_placed(path: Path, found: Carried) -> str:
    place = f"files/{len(found.named)}-{path.name}"
    found.named[place] = path
    return place


def _model_placed(path: Path, found: Carried) -> str:
    """Where a model folder, or the one in a run folder, lies in the bundle; one that is named twice is there once."""
    folder = next((path / inner for inner in ("model", "adapter") if (path / inner).is_dir()), path).resolve()
    known = next((place for place, there in found.models.items() if there == folder), None)
    if known is not None:
        return known
    name = folder.parent.name if folder.name in ("model", "adapter") else folder.name
    place = f"models/{len(found.models)}-{name}"
    found.models[place] = folder
    _base_placed(folder, place, found)
    return place


def _base_placed(folder: Path, place: str, found: Carried) -> None:
    """An adapter is nothing without the model that it was trained on, which it names by its path."""
    file = folder / ADAPTER_FILE
    if not file.is_file():
        return
    config = json.loads(file.read_bytes())
    base = config.get("base_model_name_or_path")
    if base and Path(base).is_dir():
        config["base_model_name_or_path"] = _model_placed(Path(base), found)
        found.files[f"{place}/{ADAPTER_FILE}"] = json.dumps(config, indent=2) + "\n"


def code_files() -> dict[str, Content]:
    """This site's own code as far as a run in its child process needs it, by its place in a bundle."""
    root = Path(__file__).resolve().parents[2]
    return {
        f"{CODE_FOLDER}/{path.relative_to(root).as_posix()}": path
        for start in (root / name for name in CODE)
        for path in ([start] if start.is_file() else sorted(start.rglob("*")))
        if path.is_file() and path.suffix in CODE_SUFFIXES and not NOT_CODE & set(path.relative_to(root).parts)
    }
