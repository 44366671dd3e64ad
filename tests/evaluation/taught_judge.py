"""Atlas' judge, taught by an ordinary run in a process of its own, and served by the real server in another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from evaluation.atlas.judging_rows import JudgingRows, judging_rows, sft_rows
from evaluation.atlas.world import AtlasSettings, make_world
from training.recipes import load_recipe
from training.specs import write_spec

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Judge:
    """A judge's run folder, what it was taught and is held against, and how long the run took."""

    model: Path
    rows: JudgingRows
    seconds: float


def teach_judge(
    folder: Path, *, error_rate: float = 0.0, seed: int = 0, scratch: dict | None = None, **settings: object
) -> Judge:
    """Teach one in `folder` by the recipe, but for these settings and measures; one that was taught there stays."""
    rows = judging_rows(make_world(AtlasSettings(seed=seed)), error_rate=error_rate, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    train = folder / "train.jsonl"
    train.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in sft_rows(rows.train)))
    spec = load_recipe("atlas-judge").spec(name="judge", train=train, seed=seed, settings=settings)
    if scratch:
        assert spec.model.scratch is not None
        spec.model.scratch = spec.model.scratch.model_copy(update=scratch)
    write_spec(spec, folder)
    if not (folder / "result.json").exists():
        done = subprocess.run(
            [sys.executable, "-m", "training.execute", str(folder)],
            cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    result = orjson.loads((folder / "result.json").read_bytes())
    return Judge(folder, rows, result["startup_seconds"] + result["train_seconds"])


@contextmanager
def served(model: Path, *, name: str = "judge", port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and the process of `rlwhf serve` with this model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "evaluation.serving", f"{name}={model}", "--port", str(port), "--threads", "1"],
        cwd=ROOT, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("Serving "), said
        yield said.rsplit(" ", 1)[1].strip(), process
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
