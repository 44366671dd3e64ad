"""Which model answered: a hash of its files, so that equal models share their answers whatever they are called."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

PARTS = ("model", "adapter", "tokenizer")
_IGNORED = {"README.md", "training_args.bin", ".gitattributes"}


def model_hash(path: str) -> str:
    """Return the SHA-256 of a model's files (of a run folder: its model and tokenizer); of a hub name, that of the name."""
    folder = Path(path)
    digest = hashlib.sha256()
    if not folder.is_dir():
        return hashlib.sha256(path.encode()).hexdigest()
    inner = [folder / part for part in PARTS if (folder / part).is_dir()] or [folder]
    beside = folder.parent / "tokenizer"
    if inner == [folder] and not (folder / "tokenizer_config.json").exists() and beside.is_dir():
        inner.append(beside)
    for part in inner:
        _add_files(digest, part)
        _add_base(digest, part)
    return digest.hexdigest()


def _add_files(digest: hashlib._Hash, folder: Path) -> None:
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _IGNORED):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)


def _add_base(digest: hashlib._Hash, folder: Path) -> None:
    """Add the model that an adapter sits on: the same adapter on another base gives other answers."""
    config = folder / "adapter_config.json"
    if config.exists():
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path") or ""
        digest.update(model_hash(base).encode())
