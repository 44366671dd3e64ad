"""`rlwhf METHOD-train`: a run from flags alone, without database or queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.often import often
from tests.training.atlas_runs import ROOT, read_rows, write_rows
from training.trainers import METHODS

ROWS = [{"prompt": f"What is {n} and {n}?", "response": f"{2 * n}."} for n in range(1, 40)]
TINY = [
    "--set",
    "model.scratch.hidden_size=32",
    "--set",
    "model.scratch.intermediate_size=64",
    "--set",
    "model.scratch.vocab_size=400",
]


def rlwhf(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command as a person would give it, where no site has ever been started."""
    return subprocess.run(
        [sys.executable, "-m", "rlwhf_site.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "RLWHF_HOME": str(folder / "home"), "DATABASE_URL": "", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_rows(tmp_path / "data" / "train.jsonl", ROWS[:32])
    write_rows(tmp_path / "data" / "eval.jsonl", ROWS[32:])
    return tmp_path / "data"


@pytest.mark.full
def test_a_run_is_carried_out_in_the_folder_that_is_named_and_its_metrics_are_told(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "artifacts" / "demo"
    flags = ["--max-steps", "4", "--logging-steps", "2", "--eval-steps", "4", "--lr", "1e-3", "--batch-size", "8"]
    done = rlwhf("sft-train", "--dataset-dir", str(data), "--output-dir", str(out), *flags, *TINY, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "step 2  loss " in done.stdout
    assert f"Trained: {out}" in done.stdout
    assert {path.name for path in out.iterdir()} >= {"model", "tokenizer", "metrics.jsonl", "config.json", "log.txt"}
    settings = json.loads((out / "spec.json").read_text())["settings"]
    assert (settings["max_steps"], settings["learning_rate"], settings["per_device_train_batch_size"]) == (4, 1e-3, 8)
    other = rlwhf("sft-train", "--dataset-dir", str(data), "--output-dir", str(out), "--max-steps", "5", *TINY, folder=tmp_path)
    assert other.returncode == 1
    assert "holds a run with other settings" in other.stderr


@pytest.mark.full
def test_ctrl_c_writes_a_checkpoint_and_the_same_command_goes_on_from_it(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    command = [
        "sft-train",
        "--dataset-dir",
        str(data),
        "--output-dir",
        str(out),
        "--max-steps",
        "400",
        "--logging-steps",
        "5",
        *TINY,
    ]
    started = subprocess.Popen(
        [sys.executable, "-m", "rlwhf_site.cli", *command],
        cwd=ROOT,
        env={**os.environ, "RLWHF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (out / "metrics.jsonl").exists():
        assert started.poll() is None
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)  # what a terminal does: to the command and to its child
    assert started.wait(timeout=60) == 143
    stopped_at = json.loads((out / "progress.json").read_text())["done"]
    assert 0 < stopped_at < 400
    done = rlwhf(*command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    steps = [row["step"] for row in read_rows(out / "metrics.jsonl") if "loss" in row]
    assert steps == list(range(5, 401, 5))


@pytest.mark.parametrize("method", often([*METHODS], ["dpo"]))
def test_every_method_has_its_command_and_refuses_rows_that_are_not_its_own_by_line_and_field(
    method: str, tmp_path: Path
) -> None:
    write_rows(tmp_path / "data" / "train.jsonl", [{"nothing": 1}])
    flags = ["--base-model", "some/model", "--dataset-dir", str(tmp_path / "data"), "--output-dir", str(tmp_path / "out")]
    teacher = ["--teacher-model", "some/teacher"] if METHODS[method].needs_teacher else []
    done = rlwhf(f"{method}-train", *flags, *teacher, folder=tmp_path)
    assert done.returncode == 1
    assert "train.jsonl, line 1, field “prompt”: is missing" in done.stderr


WRONG_FLAGS = [
    (["--lr", "fast"], "invalid float value: 'fast'"),
    (["--lr", "-1"], "settings.learning_rate: Input should be greater than 0"),
    (["--set", "settings.lr=1"], "settings.lr: Extra inputs are not permitted"),
    (["--set", "lora.r=8"], "There is no “lora”: write settings.lora"),
    (["--set", "nonsense"], "write FIELD=VALUE"),
    (["--recipe", "atlas-dpo"], "a recipe for dpo: rlwhf dpo-train"),
    (["--bf16", "--fp16"], "not allowed with"),
    (["--set", "model.scratch.hidden_size=1048576"], "and this machine has"),
]


@pytest.mark.parametrize(
    ("flags", "says"), [pytest.param(*case, marks=[pytest.mark.full] if 1 < n < 6 else []) for n, case in enumerate(WRONG_FLAGS)]
)
def test_a_wrong_flag_is_told_by_its_name_and_nothing_is_written(flags: list[str], says: str, tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    done = rlwhf("sft-train", "--dataset-dir", str(data), "--output-dir", str(out), *TINY, *flags, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert not out.exists()


COMMON = [
    "--dataset-dir", "data", "--output-dir", "out", "--epochs", "1", "--max-steps", "7", "--gradient-accumulation", "2", "--bf16",
    "--lr-scheduler", "cosine", "--warmup-ratio", "0.03", "--weight-decay", "0.01", "--max-length", "512", "--eval-steps", "100",
    "--save-steps", "200", "--deepspeed", "zero2.json", "--wandb", "honesty",
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "flags", "expected"),
    [
        (
            "rm-train",
            ["--base-model", "some/model", "--lr", "2e-5", "--batch-size", "8", "--truncation-left"],
            {"learning_rate": 2e-5, "per_device_train_batch_size": 8, "truncation_side": "left"},
        ),
        (
            "dpo-train",
            ["--policy-model", "some/model", "--ref-model", "other/model", "--lr", "5e-6", "--batch-size", "4", "--beta", "0.2",
             "--label-smoothing", "0.1"],
            {"learning_rate": 5e-6, "per_device_train_batch_size": 4, "beta": 0.2, "label_smoothing": 0.1},
        ),
    ],
)  # fmt: skip
def test_the_flags_that_people_know_from_other_trainers_mean_what_they_mean_there(
    command: str, flags: list[str], expected: dict[str, object], tmp_path: Path
) -> None:
    write_rows(tmp_path / "data" / "train.jsonl", [{"prompt": "?", "chosen": "a", "rejected": "b"}])
    places = [str(tmp_path / flag) if flag in ("data", "out", "zero2.json") else flag for flag in COMMON]
    done = rlwhf(command, *places, *flags, "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = json.loads(done.stdout)
    settings = spec["settings"]
    assert {name: settings[name] for name in expected} == expected
    shared = ("num_train_epochs", "max_steps", "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps", "max_length")
    assert [settings[name] for name in shared] == [1, 7, 2, "cosine", 0.03, 512]
    assert (settings["eval_steps"], settings["save_steps"], settings["weight_decay"]) == (100, 200, 0.01)
    assert settings["extra"]["deepspeed"] == str(tmp_path / "zero2.json")
    assert spec["hardware"]["precision"] == "bfloat16"
    assert spec["tracking"]["wandb"] == "honesty"
    assert (spec["reference"] or {}).get("path") == ("other/model" if command == "dpo-train" else None)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "spec.json").write_text('{"openapi": "3.1.0"}')
    done = rlwhf("sft-train", "--dataset-dir", str(data), "--output-dir", str(out), *TINY, folder=tmp_path)
    assert done.returncode == 1 and "Choose another --output-dir" in done.stderr and "Traceback" not in done.stderr
    assert (out / "spec.json").read_text() == '{"openapi": "3.1.0"}'
