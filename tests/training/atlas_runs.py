"""Atlas runs for tests: teach a base, train it, and see what it says, all in child processes as on the site."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotations.verdicts import ABSTENTION, Verdict, judge
from evaluation.atlas.files import AtlasFolder
from evaluation.atlas.grammar import Grammar
from training.recipes import load_recipe
from training.rewards.shapes import load_shape
from training.specs import ModelSpec, ScratchModel, write_spec

ROOT = Path(__file__).parents[2]


def child(module: str, folder: Path, *, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run `python -m module folder` to its end, offline."""
    return subprocess.run(
        [sys.executable, "-m", module, str(folder)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train(
    folder: Path,
    recipe: str,
    data: Path,
    *,
    base: Path | None = None,
    scratch: Mapping[str, Any] | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry out a run by a recipe in `folder`; returns its result."""
    folder.mkdir(parents=True)
    loaded = load_recipe(recipe)
    model = ModelSpec(path=str(base)) if base else None
    if scratch is not None:
        assert loaded.model is not None
        assert loaded.model.scratch is not None
        tiny = ScratchModel.model_validate({**loaded.model.scratch.model_dump(), **scratch})
        model = ModelSpec(scratch=tiny)
    spec = loaded.spec(name=folder.name, train=data, model=model, seed=seed, settings=settings)
    write_spec(spec, folder)
    done = child("training.execute", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def ask(folder: Path, model: Path, prompts: Path, **settings: Any) -> list[dict[str, Any]]:
    """A model's answers to the prompts in a file."""
    folder.mkdir(parents=True)
    spec = {"model": str(model), "prompts": str(prompts), "max_new_tokens": 8, "batch_size": 256, **settings}
    (folder / "generate.json").write_text(json.dumps(spec))
    done = child("training.generate", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return read_rows(folder / "answers.jsonl")


def preference_pairs(folder: Path, base: Path, prompts: Path, *, samples: int = 4, seed: int = 0) -> list[dict[str, str]]:
    """Pairs from the base model's own answers and the honest fallback: of each prompt's candidates, those of higher
    rubric score over those of lower, the widest two differences first.
    """
    rows = {row["item_id"]: row for row in read_rows(prompts)}
    asked = write_rows(folder / "prompts.jsonl", ({"id": key, "prompt": row["prompt"]} for key, row in rows.items()))
    candidates: dict[str, dict[str, float]] = defaultdict(lambda: {ABSTENTION: 0.0})
    rubric = load_shape("rubric")
    for one in ask(folder / "answers", base, asked, samples=samples, temperature=1.0, seed=seed):
        if one["answer"]:
            verdict = judge(one["answer"], rows[one["id"]]["gold_answer"])
            candidates[one["id"]][one["answer"]] = rubric.reward(verdict)
    rng = random.Random(seed)
    pairs = []
    for key, scores in candidates.items():
        ordered = [(scores[a] - scores[b], rng.random(), a, b) for a in scores for b in scores if scores[a] > scores[b]]
        for _, _, chosen, rejected in sorted(ordered, reverse=True)[:2]:
            pairs.append({"prompt": rows[key]["prompt"], "chosen": chosen, "rejected": rejected})
    rng.shuffle(pairs)
    return pairs


@dataclass(frozen=True)
class Cell:
    """What a model says in one split and fold: shares of the taught, and of the untaught."""

    taught_correct: float
    taught_abstained: float
    untaught_abstained: float

    @property
    def truthful(self) -> float:
        """The truthful rate; taught and untaught are equally many."""
        return (self.taught_correct + self.untaught_abstained) / 2


@dataclass(frozen=True)
class Score:
    """A model on the benchmark: a cell per (split, fold), and the share of answers that parse."""

    cells: dict[tuple[str, str], Cell]
    parsed: float


def score(folder: Path, model: Path, atlas: AtlasFolder) -> Score:
    """Ask a model the whole benchmark."""
    rows = {row["id"]: row for row in read_rows(atlas.benchmark)}
    answers = ask(folder, model, atlas.benchmark)
    counts: Counter[tuple[Any, ...]] = Counter()
    for one in answers:
        row = rows[one["id"]]
        where = (row["slice"]["split"], row["slice"]["fold"], row["slice"]["taught"])
        counts[where] += 1
        counts[(*where, judge(one["answer"], row["gold_answer"]))] += 1

    def share(split: str, fold: str, taught: bool, verdict: Verdict) -> float:
        return counts[split, fold, taught, verdict] / counts[split, fold, taught]

    cells = {
        (split, fold): Cell(
            share(split, fold, True, Verdict.CORRECT),
            share(split, fold, True, Verdict.ABSTAINED),
            share(split, fold, False, Verdict.ABSTAINED),
        )
        for split in ("easy", "hard")
        for fold in ("A", "B")
    }
    return Score(cells, Grammar(atlas.values).parse_share(one["answer"] for one in answers))
