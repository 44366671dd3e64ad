"""A tiny model, built from a configuration, that was taught both to answer about Atlas and to judge answers: for self-rewarding
without anybody else. Queued as an ordinary run.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from annotations.services import dataset_from_rows
from evaluation.atlas.files import AtlasFolder, atlas_files
from evaluation.atlas.judging_rows import HEDGES, JUDGE_PROMPT, judging_rows, sft_rows
from evaluation.atlas.world import AtlasSettings, make_world
from evaluation.atlas_judge import SCORE_TOKENS
from evaluation.loop import ANSWER_TOKENS
from evaluation.models import Benchmark
from evaluation.self_rewarding.services import loop_start
from evaluation.self_rewarding.settings import LoopSettings
from evaluation.services import benchmark_register
from jobs.models import Pipeline
from training.models import Artifact, Run
from training.services import run_queue

# So often is each row about people read for each row of judging: as often, in all, as where each is taught alone.
TEACHING_REPEATED = 8
STEPS = 850
# A third of Atlas' prompts, others each round; so many steps see each pair about a dozen times.
PROMPTS_PER_ROUND = 170
ROUND_STEPS = 60
MEASURES = {
    "vocab_size": 1000,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}


def atlas(seed: int = 0) -> AtlasFolder:
    return atlas_files(cache=Path(settings.RLWHF_HOME) / "cache", settings=AtlasSettings(seed=seed))


def benchmark(seed: int = 0) -> Benchmark:
    return benchmark_register(folder=atlas(seed).path, actor=None)


def teach_both(name: str, *, seed: int = 0, max_steps: int = STEPS) -> Run:
    """Queue the teaching of a model that answers, and judges by `brief-1` with a reference answer."""
    files = atlas(seed)
    rows = [orjson.loads(line) for line in files.teach.read_bytes().splitlines()] * TEACHING_REPEATED
    rows += [dict(row) for row in sft_rows(judging_rows(make_world(AtlasSettings(seed=seed)), seed=seed).train)]
    random.Random(seed).shuffle(rows)
    words = Path(settings.RLWHF_HOME) / "cache" / f"both-{seed}.txt"
    frames = ["Question: \nAnswer: \nReference answer: \nScore:", *HEDGES, "-2", "-1", "0", "1", "2"]
    words.write_text(files.lexicon.read_text() + "\n".join(frames) + "\n")
    dataset = dataset_from_rows(name=f"{name}-teaching", kind="sft", rows={"train": rows}, source="atlas", actor=None)
    scratch = {f"model.scratch.{field}": value for field, value in MEASURES.items()}
    overrides = {"seed": seed, "settings.max_steps": max_steps, "settings.max_length": 128}
    return run_queue(
        name=name,
        recipe="atlas-teach",
        dataset=dataset,
        overrides=overrides | scratch | {"model.scratch.tokenizer_texts": str(words)},
        actor=None,
    )


def prompts(seed: int = 0) -> Path:
    """What the rounds ask: fold A of the easy split, of which the held-out figures say nothing."""
    return atlas(seed).prompts


def rounds_on_atlas(taught: Artifact, *, rounds: int = 3, seed: int = 0, **more: Any) -> Pipeline:
    """Start a loop in which the model judges itself, told the gold answers, and is trained by DPO as Atlas usually is."""
    wanted = {
        "model": taught.name,
        "prompts": str(prompts(seed)),
        "benchmark": benchmark(seed).hash,
        "rounds": rounds,
        "recipe": "atlas-dpo",
        "judge": "self",
        "judge_prompt": JUDGE_PROMPT,
        "judge_max_tokens": SCORE_TOKENS,
        "uses_reference": True,
        "samples": 4,
        "prompts_per_round": PROMPTS_PER_ROUND,
        "overrides": {"settings.max_steps": ROUND_STEPS},
        "max_new_tokens": ANSWER_TOKENS,
        "seed": seed,
    }
    return loop_start(wanted=LoopSettings.model_validate(wanted | more), actor=None)
