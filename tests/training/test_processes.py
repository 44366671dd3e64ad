"""Which process of a run this is, and what they agree on; one process agrees with itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.atlas_runs import ROOT
from training import processes
from training.agreement import Agreement
from training.child_main import forget_failure

TOLD = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
ASKS = """
import json, sys
import torch.distributed as dist
from training.agreement import Agreement
from training.processes import rank
dist.init_process_group("gloo")
together, first = Agreement(), rank() == 0
told = [together.any(first), together.any(False), together.same(7), together.same(rank()), together.same(-rank())]
together.wait()
with open(f"{sys.argv[1]}/{rank()}.json", "w") as file:
    json.dump(told, file)
dist.destroy_process_group()
"""


def test_a_process_alone_is_the_first_and_agrees_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)
    assert (processes.rank(), processes.world_size(), processes.local_world_size()) == (0, 1, 1)
    assert processes.is_first() and not processes.are_several()
    alone = Agreement()
    assert alone.any(True) and not alone.any(False) and alone.same(4)
    alone.wait()


def test_accelerates_launcher_says_which_one_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    assert (processes.rank(), processes.world_size()) == (3, 8)
    assert (processes.local_rank(), processes.local_world_size()) == (1, 2)
    assert not processes.is_first() and processes.are_several()


@pytest.mark.full
def test_two_processes_come_to_one_answer(tmp_path: Path) -> None:
    script = tmp_path / "asks.py"
    script.write_text(ASKS)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert told[0] == told[1] == [True, False, True, False, False]


def test_of_several_processes_the_first_to_fail_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = tmp_path / "failure.json"
    failure.write_text("{}")
    monkeypatch.setenv("WORLD_SIZE", "2")
    forget_failure(tmp_path)
    assert failure.exists(), "another process of this run has just told why it failed"
    os.utime(failure, (1, 1))
    forget_failure(tmp_path)
    assert not failure.exists(), "an earlier attempt's"
