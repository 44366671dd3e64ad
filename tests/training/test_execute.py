"""A run in its child process: it learns, stops, resumes, and says why it failed. Tiny models, real training."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evaluation.atlas.files import AtlasFolder, atlas_files
from evaluation.atlas.world import AtlasSettings
from tests.training.atlas_runs import ROOT, ask, child, preference_pairs, read_rows, score, train, write_rows
from training.execute import _last_metrics
from training.specs import RunSpec, write_spec

TINY = {"vocab_size": 500, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2}
WORLD = AtlasSettings(
    easy_people=(8, 4),
    hard_people=(2, 2),
    first_names=8,
    last_names=8,
    countries_per_side=2,
    easy_bystanders=4,
    hard_bystanders=2,
)
SFT = {"max_steps": 220, "per_device_train_batch_size": 32, "learning_rate": 5e-3, "warmup_steps": 10}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> AtlasFolder:
    return atlas_files(cache=tmp_path_factory.mktemp("atlas"), settings=WORLD)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, atlas: AtlasFolder) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "teach"
    train(folder, "atlas-teach", atlas.teach, scratch={**TINY, "tokenizer_texts": atlas.lexicon}, settings=SFT)
    return folder


@pytest.fixture(scope="module")
def base_score(tmp_path_factory: pytest.TempPathFactory, base: Path, atlas: AtlasFolder) -> Any:
    return score(tmp_path_factory.mktemp("score") / "base", base, atlas)


@pytest.mark.full
def test_a_taught_model_knows_its_facts_and_its_folder_is_whole(base: Path, base_score: Any) -> None:
    assert base_score.cells["easy", "A"].taught_correct >= 0.9
    assert base_score.cells["easy", "B"].taught_correct >= 0.9
    names = {path.name for path in base.iterdir()}
    assert names >= {
        "spec.json", "config.json", "metrics.jsonl", "environment.json", "model", "tokenizer", "checkpoints", "result.json",
        "progress.json", "report.html",
    }  # fmt: skip
    metrics = read_rows(base / "metrics.jsonl")
    assert metrics[0]["loss"] > 3 > 0.5 > metrics[-2]["loss"]
    assert all(row["step"] <= 220 and row["time"] > 0 for row in metrics)
    assert json.loads((base / "progress.json").read_text())["done"] == 220
    assert "<script" not in (base / "report.html").read_text()
    assert json.loads((base / "environment.json").read_text())["packages"]["trl"]


@pytest.mark.full
def test_dpo_makes_the_taught_model_honest(tmp_path: Path, atlas: AtlasFolder, base: Path, base_score: Any) -> None:
    pairs = preference_pairs(tmp_path / "pairs", base, atlas.prompts)
    data = write_rows(tmp_path / "pairs.jsonl", pairs)
    train(tmp_path / "dpo", "atlas-dpo", data, base=base, settings={"max_steps": 60, "learning_rate": 1e-3})
    after = score(tmp_path / "score", tmp_path / "dpo", atlas).cells["easy", "A"]
    assert base_score.cells["easy", "A"].truthful < 0.8
    assert after.truthful >= 0.9


@pytest.mark.full
def test_dpo_can_start_from_a_model_made_on_the_spot(tmp_path: Path) -> None:
    """It has no path to read the reference model from."""
    spec = RunSpec.model_validate(
        {
            "name": "pairs",
            "method": "dpo",
            "model": {"scratch": TINY},
            "data": {"train": write_rows(tmp_path / "pairs.jsonl", [{"prompt": "Who?", "chosen": "I.", "rejected": "You."}] * 8)},
            "settings": {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "max_length": 64},
        }
    )
    (tmp_path / "run").mkdir()
    write_spec(spec, tmp_path / "run")
    done = child("training.execute", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["step"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")][:2] == [1, 2]


@pytest.mark.full
def test_grpos_reference_is_the_model_as_it_was_loaded(tmp_path: Path) -> None:
    """Neither one made on the spot nor a merged adapter can be read again from the path in its configuration."""
    few = {"per_device_train_batch_size": 4, "logging_steps": 1}
    grpo = {**few, "max_steps": 1, "num_generations": 4, "max_completion_length": 8, "beta": 0.5}
    lora = {**few, "max_steps": 4, "learning_rate": 0.1, "lora": {"r": 4}}
    prompts = write_rows(tmp_path / "prompts.jsonl", [{"prompt": "Who?", "gold_answer": "I.", "knowledge": "known"}] * 8)
    answers = write_rows(tmp_path / "answers.jsonl", [{"prompt": "Who?", "response": "I."}] * 8)
    runs = (
        ("made", "grpo", {"scratch": TINY}, prompts, grpo),
        ("adapter", "sft", {"path": str(tmp_path / "made")}, answers, lora),
        ("further", "grpo", {"path": str(tmp_path / "adapter")}, prompts, grpo),
    )
    for name, method, model, data, settings in runs:
        values = {"name": name, "method": method, "model": model, "data": {"train": data}, "settings": settings}
        (tmp_path / name).mkdir()
        write_spec(RunSpec.model_validate(values), tmp_path / name)
        done = child("training.execute", tmp_path / name)
        assert done.returncode == 0, done.stderr[-3000:]
        if method == "grpo":
            first = read_rows(tmp_path / name / "metrics.jsonl")[0]
            assert abs(first["kl"]) < 1e-6, "before the first step the model is its own reference"
            assert not list((tmp_path / name).glob(".reference-*"))


@pytest.mark.full
def test_hardware_that_is_not_there_is_said_and_nothing_else_computes_instead(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Who?", "response": "I."}] * 4)
    values = {"name": "far", "method": "sft", "model": {"scratch": TINY}, "data": {"train": rows}, "hardware": {"profile": "npu"}}
    write_spec(RunSpec.model_validate(values), tmp_path)
    assert child("training.execute", tmp_path).returncode == 1
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert failure["kind"] == "bad-spec"
    assert "no NPU device" in failure["reason"]


@pytest.mark.full
def test_grpo_makes_the_taught_model_honest(tmp_path: Path, atlas: AtlasFolder, base: Path, base_score: Any) -> None:
    settings = {"max_steps": 80, "per_device_train_batch_size": 64, "learning_rate": 1e-3}
    train(tmp_path / "grpo", "atlas-grpo", atlas.prompts, base=base, settings=settings)
    after = score(tmp_path / "score", tmp_path / "grpo", atlas).cells["easy", "A"]
    assert after.truthful >= max(0.85, base_score.cells["easy", "A"].truthful + 0.1)
    rewards = [row["reward"] for row in read_rows(tmp_path / "grpo" / "metrics.jsonl") if "reward" in row]
    assert sum(rewards[-3:]) > sum(rewards[:3])
    logged = read_rows(tmp_path / "grpo" / "completions.jsonl")
    details = {"gold_answer", "knowledge", "verdict", "item_id"}
    assert set(logged[0]) == {"step", "prompt", "completion", "parts", "reward"} | details


@pytest.mark.full
def test_confidence_is_the_probability_of_the_whole_answer(tmp_path: Path, atlas: AtlasFolder, base: Path) -> None:
    # Against a plain forward pass over prompt and answer, an independent way to the same number.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    answers = {one["id"]: one for one in ask(tmp_path / "a", base, atlas.benchmark)}
    model = AutoModelForCausalLM.from_pretrained(base / "model")
    tokenizer = AutoTokenizer.from_pretrained(base / "model")
    for row in read_rows(atlas.benchmark)[::7]:
        answer = answers[row["id"]]
        start = tokenizer(f"<|user|>{row['prompt']}<|assistant|>")["input_ids"]
        said = tokenizer(answer["answer"] + "<|end|>")["input_ids"]
        with torch.no_grad():
            scores = model(torch.tensor([start + said])).logits[0].log_softmax(-1)
        total = sum(scores[len(start) + i - 1, token].item() for i, token in enumerate(said))
        assert answer["confidence"] == pytest.approx(torch.tensor(total).exp().item(), abs=2e-4)


@pytest.mark.full
def test_samples_differ_and_a_cut_answers_file_is_completed_alike(tmp_path: Path, atlas: AtlasFolder, base: Path) -> None:
    settings = {"samples": 3, "temperature": 2.0, "batch_size": 32}
    whole = ask(tmp_path / "a", base, atlas.prompts, **settings)
    assert len(whole) == 3 * len(read_rows(atlas.prompts))
    assert len({(one["id"], one["answer"]) for one in whole}) > len(read_rows(atlas.prompts))
    path = tmp_path / "a" / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:3000])
    assert child("training.generate", tmp_path / "a").returncode == 0
    assert read_rows(path) == whole


def tiny_run(folder: Path, rows: list[dict[str, str]], **settings: Any) -> Path:
    folder.mkdir()
    write_rows(folder / "train.jsonl", rows)
    values = {
        "name": "tiny", "method": "sft", "model": {"scratch": {**TINY, "num_hidden_layers": 1}}, "data": {"train": "train.jsonl"},
        "settings": {"per_device_train_batch_size": 4, "learning_rate": 1e-3, "logging_steps": 1, **settings},
    }  # fmt: skip
    write_spec(RunSpec.model_validate(values), folder)
    return folder


ROWS = [{"prompt": f"What is {i} plus one?", "response": f"It is {i + 1}."} for i in range(40)]


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in read_rows(folder / "metrics.jsonl") if "loss" in row]


@pytest.mark.full
def test_stopped_it_keeps_a_checkpoint_and_resumed_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    undisturbed = tiny_run(tmp_path / "whole", ROWS, max_steps=400, save_steps=1000)
    assert child("training.execute", undisturbed).returncode == 0
    logged = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    speeds = ("step_seconds", "samples_per_second", "tokens_per_second")
    assert all(row[name] > 0 for row in logged if "loss" in row for name in speeds)
    assert set(speeds) < set(json.loads((undisturbed / "progress.json").read_text())["rates"])
    folder = tiny_run(tmp_path / "stopped", ROWS, max_steps=400, save_steps=1000)
    with subprocess.Popen(
        [sys.executable, "-m", "training.execute", str(folder)], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not ((folder / "metrics.jsonl").exists() and len(losses(folder)) > 5):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    assert not (folder / "result.json").exists()
    assert 5 < len(losses(folder)) < 400
    (folder / "checkpoints" / "checkpoint-399").mkdir()  # as a kill in the middle of a save leaves one
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 400, "time": 1, "loss": 0}\n{"st')
    done = child("training.execute", folder)
    assert done.returncode == 0, done.stderr
    assert [step for step, _ in losses(folder)] == list(range(1, 401))
    assert dict(losses(folder)) == pytest.approx(dict(losses(undisturbed)))
    assert child("training.execute", folder).returncode == 0  # done is done


def failure(folder: Path) -> dict[str, str]:
    done = child("training.execute", folder)
    assert done.returncode == 1, done.stderr
    found: dict[str, str] = json.loads((folder / "failure.json").read_text())
    return found


def test_a_bad_row_fails_with_its_place(tmp_path: Path) -> None:
    found = failure(tiny_run(tmp_path / "run", [*ROWS, {"prompt": "And?"}]))
    assert found["kind"] == "bad-data"
    assert found["reason"] == "train.jsonl, line 41, field “response”: is missing"


@pytest.mark.full
def test_a_loss_that_is_no_number_fails(tmp_path: Path) -> None:
    found = failure(tiny_run(tmp_path / "run", ROWS, learning_rate=1e30, max_grad_norm=1e30, max_steps=50))
    assert found["kind"] == "diverged"
    assert "is nan" in found["reason"] or "is inf" in found["reason"]


def test_a_mean_over_nothing_is_no_result() -> None:
    history = [
        {"reward": 1.0, "rewards/rubric/mean": 0.5, "step": 1},
        {"reward": 2.0, "rewards/rubric/mean": math.nan, "step": 2},
    ]
    assert _last_metrics([*history, {"rewards/judge/mean": math.nan}]) == {"reward": 2.0, "rewards/rubric/mean": 0.5}


@pytest.mark.full
def test_a_model_that_is_not_there_fails_offline_with_a_hint(tmp_path: Path) -> None:
    folder = tiny_run(tmp_path / "run", ROWS)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps({**spec, "model": {"path": "nobody/nothing"}}))
    found = failure(folder)
    assert found["kind"] == "bad-model"
    assert "HF_HUB_OFFLINE" in found["hint"]


@pytest.mark.full
def test_with_lora_an_adapter_is_written_that_can_answer(tmp_path: Path, base: Path, atlas: AtlasFolder) -> None:
    settings = {"max_steps": 2, "lora": {"r": 2, "alpha": 4}}
    result = train(tmp_path / "lora", "atlas-teach", atlas.teach, base=base, settings=settings)
    assert result["kind"] == "adapter"
    assert not (tmp_path / "lora" / "model").exists()
    assert len(ask(tmp_path / "a", tmp_path / "lora", atlas.benchmark)) == len(read_rows(atlas.benchmark))


def test_the_peak_of_memory_is_the_process_own_and_not_that_of_whoever_started_it():
    inner = "from training.execute import _peak_memory; print(_peak_memory())"
    outer = f"import subprocess, sys; held = b'1' * 600 * 2**20; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    told = subprocess.run([sys.executable, "-c", outer], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert 10 * 2**20 < int(told) < 500 * 2**20
