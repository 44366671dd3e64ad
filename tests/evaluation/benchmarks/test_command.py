"""`rlwhf benchmarks`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from evaluation.models import Benchmark

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    output = io.StringIO()
    call_command("benchmarks", *arguments, stdout=output)
    return output.getvalue()


def test_a_folder_is_registered_once_and_listed(benchmark_folder: Path) -> None:
    assert "No benchmarks yet" in said()
    assert "is known now" in said("register", str(benchmark_folder))
    assert "is known now" in said("register", str(benchmark_folder))
    benchmark = Benchmark.objects.get()
    assert benchmark.hash[:12] in said("list")
    assert AuditEntry.objects.filter(action="evaluation.benchmark_registered").count() == 1


def test_a_folder_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"benchmark\.jsonl"):
        said("register", str(tmp_path))
