"""`rlwhf evaluate`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evaluation.models import Benchmark, Evaluation
from training.models import Artifact

pytestmark = pytest.mark.django_db


def test_it_queues_by_folder_name_or_hash(benchmark: Benchmark, benchmark_folder: Path, model: Callable[..., Artifact]) -> None:
    model("m")
    for wanted in (str(benchmark_folder), "atlas", benchmark.hash[:6]):
        said = io.StringIO()
        call_command("evaluate", "m", "--benchmark", wanted, stderr=said)
        assert "Queued as job" in said.getvalue()
    assert Evaluation.objects.filter(benchmark=benchmark).count() == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["x", "--benchmark", "atlas"], "no model named"),
        (["m", "--benchmark", "x"], "no benchmark"),
        (["m", "--benchmark", "atlas", "--tag", "abacus"], "no hardware tag"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    benchmark: Benchmark, model: Callable[..., Artifact], arguments: list[str], problem: str
) -> None:
    model("m")
    with pytest.raises(CommandError, match=problem):
        call_command("evaluate", *arguments)
