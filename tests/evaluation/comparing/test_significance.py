"""Paired tests and their adjustment, against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from annotations.verdicts import Verdict
from evaluation.comparing.significance import PERMUTATIONS, _permutation, holm, mcnemar_exact, paired_tests
from evaluation.metrics import METRICS, Answered, SwappedTally, Tally, columns_of, stack
from evaluation.statistics import paired_differences
from tests.evaluation.samples import random_answers


def shares(flags: np.ndarray, *, per_entity: int = 1) -> list[Answered]:
    return [
        Answered(str(i), str(i // per_entity), Verdict.CORRECT if flag else Verdict.WRONG, True, 0.5)
        for i, flag in enumerate(flags)
    ]


def two_models(seed: int, n: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.random(n) < 0.5
    return first, np.where(rng.random(n) < 0.3, rng.random(n) < 0.5 + gain, first)


@pytest.mark.parametrize("seed", range(4))
def test_holm_equals_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).random(25) ** 3
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1].tolist(), abs=1e-12)


def test_holm_by_hand() -> None:
    """5 · .01, 4 · .02, 3 · .03, and no later one below an earlier one."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_a_test_that_could_not_be_made_is_none_of_the_family() -> None:
    assert holm([0.02, None, 0.01]) == [pytest.approx(0.02), None, pytest.approx(0.02)]
    assert holm([]) == []


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (0, 5), (3, 11), (7, 7), (12, 30), (400, 460), (3000, 3300)])
def test_mcnemar_equals_statsmodels_and_the_binomial_test(lost: int, gained: int) -> None:
    found = mcnemar_exact(lost, gained)
    assert found == pytest.approx(mcnemar([[5, lost], [gained, 9]], exact=True).pvalue, abs=1e-9)
    if lost + gained:
        assert found == pytest.approx(stats.binomtest(lost, lost + gained).pvalue, abs=1e-9)


def test_a_share_of_single_questions_is_tested_by_mcnemar() -> None:
    first, second = two_models(1, 150, 0.3)
    found = paired_differences(shares(first), shares(second), names=["correct", "brier", "correct_given_attempted"])
    table = [[int((first & second).sum()), int((first & ~second).sum())], [int((~first & second).sum()), 0]]
    assert found["correct"].test.method == "mcnemar"
    assert found["correct"].test.p == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)
    assert found["brier"].test.method == "permutation"


def test_the_permutation_test_agrees_with_mcnemar_where_both_can_be_made() -> None:
    first, second = two_models(3, 120, 0.12)
    columns = columns_of(shares(first)), columns_of(shares(second))
    exact = paired_tests({"correct": METRICS["correct"]}, *columns, seed=1)["correct"]
    drawn = _permutation({"correct": METRICS["correct"]}, stack(*columns), 1, PERMUTATIONS)["correct"]
    assert exact.method == "mcnemar"
    assert 0.01 < exact.p < 0.5
    assert drawn == pytest.approx(exact.p, rel=0.35)


def test_the_permutation_test_agrees_with_scipy() -> None:
    """Of a mean over single questions, swapping sides is changing signs."""
    rng = np.random.default_rng(4)
    ok, before = rng.random(80) < 0.6, rng.random(80)
    after = np.clip(before + np.where(ok, 0.12, -0.02) * rng.random(80), 0, 1)
    sides = [
        [
            Answered(str(i), str(i), Verdict.CORRECT if o else Verdict.WRONG, None, float(q))
            for i, (o, q) in enumerate(zip(ok, qs, strict=True))
        ]
        for qs in (before, after)
    ]
    found = paired_differences(*sides, names=["brier"], resamples=100)["brier"].test
    losses = [np.square(qs - ok) for qs in (before, after)]
    expected = stats.permutation_test(
        losses, lambda a, b: np.mean(b - a), permutation_type="samples", n_resamples=20_000, rng=1
    ).pvalue
    assert found.method == "permutation"
    assert found.p == pytest.approx(expected, abs=0.01)


def test_the_same_answers_twice_are_no_difference_in_any_metric() -> None:
    columns = columns_of(random_answers())
    assert {test.p for test in paired_tests(METRICS, columns, columns, seed=1).values()} == {1.0}


def test_every_metric_changes_sides_with_the_entities() -> None:
    """A swapped tally must be the tally of the records after the entities' answers have changed hands."""
    first, second = random_answers(n=150, seed=1, entities=15), random_answers(n=150, seed=2, entities=15)
    second = [Answered(b.item, a.entity, b.verdict, a.known, b.confidence) for a, b in zip(first, second, strict=True)]
    columns = columns_of(first), columns_of(second)
    names = sorted({row.entity for row in first})
    swaps = np.random.default_rng(5).integers(0, 2, size=(3, len(names))).astype(float)
    sides = [SwappedTally(stack(*columns), swaps, side) for side in (0, 1)]
    for index, drawn in enumerate(swaps):
        changed = {name for name, swap in zip(names, drawn, strict=True) if swap}
        hands = [(b, a) if a.entity in changed else (a, b) for a, b in zip(first, second, strict=True)]
        for side in (0, 1):
            expected = Tally(columns_of([hand[side] for hand in hands]))
            for name, metric in METRICS.items():
                assert metric.value(sides[side])[index] == pytest.approx(metric.value(expected)[0]), (name, side)


def test_answers_about_one_entity_are_no_evidence_of_their_own() -> None:
    """Without a true difference, a test of 30 people with ten alike answers each must raise a false alarm no more often than it
    says; McNemar's test of the same 300 answers would do so far more often."""
    rng, alarms, naive = np.random.default_rng(6), 0, 0
    for _ in range(100):
        people = rng.random((2, 30)) < 0.5
        before, after = (np.repeat(side, 10) for side in people)
        columns = [columns_of(shares(flags, per_entity=10)) for flags in (before, after)]
        alarms += paired_tests({"correct": METRICS["correct"]}, *columns, seed=1)["correct"].p < 0.05
        naive += mcnemar_exact(int((before & ~after).sum()), int((~before & after).sum())) < 0.05
    assert alarms <= 11
    assert naive > 40


def test_a_metric_that_one_side_lacks_is_not_tested() -> None:
    silent = [Answered(str(i), str(i), Verdict.ABSTAINED, True, 0.5) for i in range(9)]
    found = paired_tests(METRICS, columns_of(shares(np.ones(9, bool))), columns_of(silent), seed=1)
    assert "correct_given_attempted" not in found
    assert "correct" in found
