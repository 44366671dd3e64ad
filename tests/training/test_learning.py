"""Every method learns its small task."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.learning import Bench, task_of
from training.trainers import METHODS


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Shared by the test processes: one of them teaches the model that the others wait for."""
    folder = tmp_path_factory.getbasetemp().parent / "learning"
    folder.mkdir(exist_ok=True)
    return Bench(folder)


# Minutes each; that a run trains at all is held by the loop, which goes through real workers with every test.
@pytest.mark.full
@pytest.mark.parametrize("method", [*METHODS])
def test_a_method_learns_what_a_broken_one_could_not(method: str, bench: Bench, tmp_path: Path) -> None:
    task = task_of(method)
    better = -1 if task.lower else 1
    assert better * task.bar > better * task.chance, "a bar that chance passes says nothing"
    outcome = task.run(bench, tmp_path / "run")
    assert better * outcome.before < better * task.bar, "the model passed before it was trained"
    assert task.passed(outcome), f"{task.figure}: {outcome.before:.3f} → {outcome.after:.3f}, asked for {task.bar}"
