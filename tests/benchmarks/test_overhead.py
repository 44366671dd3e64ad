"""A run of ours computes what a bare TRL script computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.overhead import median_interval, pair, prepare, table


@pytest.mark.full
@pytest.mark.parametrize("method", ["sft", "dpo", "grpo"])
def test_the_losses_are_those_of_a_bare_trl_script(method: str, tmp_path: Path) -> None:
    found = pair(tmp_path, prepare(tmp_path, steps=10, method=method), ours_first=True)
    assert len(found.ours.losses) == 2
    # Sums in another order; what is another run altogether differs by far more.
    assert found.difference < 1e-5


def test_the_interval_of_a_median_is_the_tabulated_one() -> None:
    # Conover, Practical Nonparametric Statistics: n = 9 gives the 2nd and 8th order statistic (96.1 %).
    assert median_interval(range(1, 10)) == (2, 8)
    assert median_interval([3, 1, 2]) == (1, 3)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_nine_interleaved_pairs(tmp_path: Path) -> None:
    spec = prepare(tmp_path, steps=100)
    pairs = [pair(tmp_path, spec, ours_first=number % 2 == 0) for number in range(9)]
    print(table(pairs))
    assert all(one.difference < 1e-5 for one in pairs)
