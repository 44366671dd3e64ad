"""Thirty real training runs on three workers that are killed at random, and a wiped queue: each completes exactly once."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings

from annotations.services import dataset_from_rows
from jobs.models import Job
from tests.jobs.conftest import until
from tests.jobs.test_chaos import kill_workers, wipe_postgres
from training.models import Artifact, Run
from training.services import run_queue

pytestmark = [pytest.mark.full, pytest.mark.timeout(1500)]
RUNS, KILLS, STEPS = 30, 8, 4
TINY = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def queue_runs() -> list[Run]:
    rows = [{"prompt": f"Where is city {n}?", "response": f"In country {n % 5}."} for n in range(32)]
    dataset = dataset_from_rows(name="cities", kind="sft", rows={"train": rows}, source="chaos", actor=None)
    small = {f"model.scratch.{name}": value for name, value in TINY.items()}
    small |= {"settings.max_steps": STEPS, "settings.logging_steps": 1, "settings.save_steps": 1, "hardware.threads": 1}
    runs = [run_queue(name=f"tiny-{n}", recipe="atlas-teach", dataset=dataset, overrides=small, actor=None) for n in range(RUNS)]
    Job.objects.update(max_attempts=50)
    return runs


def test_thirty_training_runs_complete_exactly_once(processes):
    runs = queue_runs()
    kill_workers(processes, kills=KILLS, pause=(6.0, 14.0), wipe=wipe_postgres)
    until(lambda: not Job.objects.exclude(state="succeeded").exists(), within=1200, log=processes.log)
    assert Artifact.objects.ready().count() == RUNS
    assert Job.objects.filter(attempt__gt=1).exists(), "no run was interrupted: the test tests nothing"
    for run in runs:
        check_folder(Path(settings.RLWHF_HOME, "artifacts", "sft", run.name))
    work = Path(settings.RLWHF_HOME, "work")
    assert not [left for run in runs for left in work.glob(f"{run.job_id}-*")], "no attempt leaves a folder behind"
    assert not list(Path(settings.RLWHF_HOME, "artifacts", "sft").glob("*superseded*"))


def check_folder(folder: Path) -> None:
    """One whole run: each step once, in order, and a model."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == list(range(1, STEPS + 1)), f"{folder.name}: {steps}"
    assert all(earlier["time"] <= later["time"] for earlier, later in pairwise(rows)), "two children wrote at once"
    assert (folder / "model" / "model.safetensors").stat().st_size > 0 and (folder / "result.json").exists()
