"""Metrics and checkpoints across restarts."""

from __future__ import annotations

import json
from pathlib import Path

from training.folder import RunFolder, checkpoint_step, log_metrics, mark_complete, truncate_after


def test_metrics_beyond_the_checkpoint_and_half_lines_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in (10, 20, 30):
        log_metrics(path, step, {"loss": 1 / step, "name": "x", "bad": float("nan"), "on": True})
    with path.open("a") as file:
        file.write('{"step": 40, "lo')
    truncate_after(path, 20)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20]
    assert set(rows[0]) == {"step", "time", "loss"}
    truncate_after(path, 0)
    assert path.read_text() == ""
    truncate_after(tmp_path / "none.jsonl", 0)


def test_the_newest_checkpoint_is_the_newest_whole_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.newest_checkpoint() is None
    for step in (9, 10, 200):
        (folder.checkpoints / f"checkpoint-{step}").mkdir(parents=True)
    assert folder.newest_checkpoint() is None
    for step in (9, 10):
        mark_complete(folder.checkpoints / f"checkpoint-{step}")
    newest = folder.newest_checkpoint()
    assert newest == folder.checkpoints / "checkpoint-10"
    assert (checkpoint_step(newest), checkpoint_step(None)) == (10, 0)
