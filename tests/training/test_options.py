"""What any run may be given besides its method: optimisers, adapters, early stopping, tracking, streamed rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from transformers.training_args import OptimizerNames

from tests.training.atlas_runs import ROOT, child, read_rows, write_rows
from training.specs import RunSpec, write_spec
from training.trainers import METHODS
from training.trainers.optimisers import Optimiser

ROWS = [{"prompt": f"What is {n} and {n}?", "response": f"{2 * n}."} for n in range(1, 41)]
TINY = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def values(folder: Path, settings: dict[str, Any], **parts: Any) -> dict[str, Any]:
    data = {
        "train": str(write_rows(folder / "train.jsonl", ROWS[:32])),
        "eval": str(write_rows(folder / "eval.jsonl", ROWS[32:])),
        **parts.pop("data", {}),
    }
    base = {"max_steps": 6, "logging_steps": 2, "learning_rate": 3e-3}
    return {
        "name": folder.name,
        "method": "sft",
        "model": {"scratch": TINY},
        "data": data,
        "settings": base | settings,
        "hardware": {"threads": 1},
        **parts,
    }


def run(folder: Path, settings: dict[str, Any], **parts: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    write_spec(RunSpec.model_validate(values(folder, settings, **parts)), folder)
    done = child("training.execute", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def failure(folder: Path, settings: dict[str, Any], **parts: Any) -> str:
    write_spec(RunSpec.model_validate(values(folder, settings, **parts)), folder)
    assert child("training.execute", folder).returncode == 1
    found = json.loads((folder / "failure.json").read_text())
    return f"{found['reason']} {found['hint']}"


def test_all_of_transformers_optimisers_can_be_named_but_one_for_other_processors() -> None:
    assert {one.value for one in OptimizerNames} - set(Optimiser.__args__) == {"adamw_torch_xla"}


@pytest.mark.full
@pytest.mark.parametrize(
    ("optim", "extra"),
    [
        ("galore_adamw", {"optim_args": "rank=4, update_proj_gap=2"}),
        pytest.param("sgd", {}, marks=pytest.mark.full),
        ("paged_adamw_8bit", {}),
    ],
)
def test_an_optimiser_trains(optim: str, extra: dict[str, Any], tmp_path: Path) -> None:
    result = run(tmp_path / "run", {"optim": optim, "max_steps": 20, "learning_rate": 0.1 if optim == "sgd" else 5e-3, **extra})
    losses = [row["loss"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < losses[0] - 0.3
    assert result["steps"] == 20


def test_an_optimiser_whose_package_is_missing_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    assert "pip install lomo-optim" in failure(tmp_path, {"optim": "adalomo"})


@pytest.mark.full
@pytest.mark.parametrize("quantize", [None, "nf4", pytest.param("int8", marks=pytest.mark.full)])
def test_an_adapter_learns_above_frozen_weights_however_they_are_held(quantize: str | None, tmp_path: Path) -> None:
    run(tmp_path / "base", {})
    lora = {"r": 4, "alpha": 8, "quantize": quantize, "plus_ratio": 8.0}
    model = {"path": str(tmp_path / "base")}
    run(tmp_path / "run", {"lora": lora, "max_steps": 20, "learning_rate": 2e-2}, model=model)
    losses = [row["loss"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < losses[0] - 0.3
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["trainable_parameters"] < config["parameters"] / 2
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").exists()


@pytest.mark.full
def test_the_second_matrices_of_lora_plus_learn_faster(tmp_path: Path) -> None:
    run(tmp_path / "base", {})
    model = {"path": str(tmp_path / "base")}
    run(tmp_path / "run", {"lora": {"r": 4, "plus_ratio": 16.0}, "save_steps": 6, "lr_scheduler_type": "constant"}, model=model)
    import torch

    state = torch.load(tmp_path / "run" / "checkpoints" / "checkpoint-6" / "optimizer.pt", weights_only=True)
    rates = {round(group["lr"] / 3e-3, 6) for group in state["param_groups"] if group["params"]}
    assert rates == {1.0, 16.0}


@pytest.mark.full
def test_training_stops_early_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    settings = {
        "max_steps": 200, "learning_rate": 0.05, "lr_scheduler_type": "constant", "eval_steps": 5, "save_steps": 5,
        "keep": "best", "early_stopping_patience": 3, "save_total_limit": 10,
    }  # fmt: skip
    result = run(tmp_path / "run", settings)
    assert result["steps"] < 200
    evals = {row["step"]: row["eval_loss"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "eval_loss" in row}
    best = min(evals, key=evals.__getitem__)
    assert best < result["steps"]
    kept, saved = (
        (tmp_path / "run" / where / "model.safetensors").read_bytes() for where in ("model", f"checkpoints/checkpoint-{best}")
    )
    assert kept == saved


def test_keeping_the_best_needs_evaluations_that_checkpoints_fall_on(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="need eval_steps"):
        RunSpec.model_validate(values(tmp_path, {"keep": "best"}))
    with pytest.raises(ValidationError, match="must be a multiple"):
        RunSpec.model_validate(values(tmp_path, {"keep": "best", "eval_steps": 3, "save_steps": 4}))


def test_without_held_out_rows_nothing_can_be_the_best(tmp_path: Path) -> None:
    settings = {"keep": "best", "eval_steps": 2, "save_steps": 2}
    assert "need held-out rows" in failure(tmp_path, settings, data={"eval": None})


@pytest.mark.full
def test_trackers_are_off_unless_asked_for_and_write_into_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "quiet", {})
    assert not {"tensorboard", "trackio", "wandb"} & {path.name for path in (tmp_path / "quiet").iterdir()}
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(tmp_path / "run", {}, tracking={"tensorboard": True, "wandb": "honesty", "trackio": "honesty"})
    assert list((tmp_path / "run" / "tensorboard").rglob("events.out.*"))
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert list((tmp_path / "run" / "trackio").glob("*honesty*"))
    assert len(read_rows(tmp_path / "run" / "metrics.jsonl")) == len(read_rows(tmp_path / "quiet" / "metrics.jsonl"))


@pytest.mark.full
def test_a_streamed_file_trains_and_goes_on_from_a_checkpoint_with_the_same_losses(tmp_path: Path) -> None:
    streamed = {"data": {"streaming": True}}
    run(tmp_path / "whole", {"save_steps": 4}, **streamed)
    whole = tmp_path / "whole"
    losses = {row["step"]: row["loss"] for row in read_rows(whole / "metrics.jsonl") if "loss" in row}
    for path in ("result.json", "model", "checkpoints/checkpoint-6"):
        target = whole / path
        target.rename(tmp_path / path.replace("/", "-"))
    done = child("training.execute", whole)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {row["step"]: row["loss"] for row in read_rows(whole / "metrics.jsonl") if "loss" in row} == pytest.approx(losses)


@pytest.mark.full
def test_a_faulty_row_of_a_streamed_file_is_named_by_its_line(tmp_path: Path) -> None:
    rows = [*ROWS[:20], {"prompt": "?"}]
    data = {"streaming": True, "train": str(write_rows(tmp_path / "bad.jsonl", rows))}
    assert "bad.jsonl, line 21, field “response”" in failure(tmp_path, {"max_steps": 30}, data=data)


def test_what_cannot_be_streamed_is_refused(tmp_path: Path) -> None:
    streamed = values(tmp_path, {"max_steps": -1}, data={"streaming": True})
    with pytest.raises(ValidationError, match="max_steps says when"):
        RunSpec.model_validate(streamed)
    method = next(name for name, method in METHODS.items() if not method.streams and not method.needs_teacher)
    with pytest.raises(ValidationError, match="must see all its rows"):
        RunSpec.model_validate(values(tmp_path, {}, method=method, data={"streaming": True}))


@pytest.mark.full
def test_what_a_run_does_not_ask_for_is_not_imported(tmp_path: Path) -> None:
    write_spec(RunSpec.model_validate(values(tmp_path, {}, tracking={"tensorboard": True})), tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom training.execute import execute\nfrom training.folder import RunFolder\n"
        "from training.stopping import StopRequest\nexecute(RunFolder(Path(sys.argv[1])), StopRequest())\n"
        "print([name for name in ('bitsandbytes', 'wandb', 'trackio', 'tensorboard') if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "['tensorboard']"
