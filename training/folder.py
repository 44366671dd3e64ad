"""The run folder: where each thing lies, and how metrics and checkpoints survive a restart."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from jobs.child import append_jsonl, write_whole
from training.checkpoints import COMPLETE_MARK, list_files

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run folder (see the module's docstring; the names are a contract with its readers)."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def completions(self) -> Path:
        return self.path / "completions.jsonl"

    @property
    def tracking(self) -> Path:
        """`{wandb: address}`, once a run that is followed elsewhere has begun."""
        return self.path / "tracking.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def whole_checkpoints(self) -> list[Path]:
        """The checkpoints that were written to their end, oldest first."""
        found = {
            int(match[1]): path
            for path in self.checkpoints.glob("checkpoint-*")
            if (match := _CHECKPOINT.fullmatch(path.name)) and (path / COMPLETE_MARK).exists()
        }
        return [found[step] for step in sorted(found)]

    def newest_checkpoint(self) -> Path | None:
        """The newest checkpoint that was written to its end."""
        return next(reversed(self.whole_checkpoints()), None)


def rows_file(path: Path) -> Path:
    """A file of rows; a run folder, or the model's folder in one, stands for the rows that the run was trained on, and a
    dataset's folder for its training split.
    """
    if not path.is_dir():
        return path
    for folder in (path, path.parent):
        if (folder / "spec.json").exists():
            return Path(folder / json.loads((folder / "spec.json").read_bytes())["data"]["train"])
    return path / "train.jsonl"


def checkpoint_step(checkpoint: Path | None) -> int:
    """The optimiser step that a checkpoint was written after; 0 for none."""
    match = _CHECKPOINT.fullmatch(checkpoint.name) if checkpoint else None
    return int(match[1]) if match else 0


def mark_complete(checkpoint: Path) -> None:
    """Note that everything of a checkpoint is on disk; one without the mark is not resumed from."""
    list_files(checkpoint)


def log_metrics(path: Path, step: int, values: Mapping[str, object]) -> None:
    """Append a line `{step, time, …values}`, numbers only; `time` is in seconds since 1970."""
    numbers = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }
    append_jsonl(path, {"step": step, "time": round(time.time(), 3), **numbers})


def truncate_after(path: Path, step: int) -> None:
    """Drop the lines of a stream that lie beyond `step`, and a last line that was cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n") or json.loads(line)["step"] > step:
            break
        kept.append(line)
    write_whole(path, b"".join(kept))
