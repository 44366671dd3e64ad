"""Differences between models that attempt different questions: how often is one called real where there is none?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from annotations.verdicts import Verdict
from evaluation.comparing.comparison import verdict_of
from evaluation.comparing.spread import Spread
from evaluation.metrics import METRICS, Answered, columns_of
from evaluation.scorecards.parts import adjust_tables, differences_between, figure
from evaluation.scorecards.scorecard import Sampling
from evaluation.statistics import Difference, estimates_of, paired_differences
from tests.evaluation.samples import random_answers

OF_ATTEMPTS = ("correct_given_attempted", "brier", "auroc", "aurc")


def alike_where_they_attempt(
    seed: int, attempted: int, *, questions: int = 400, entities: int = 400, gain: float = 0.0
) -> tuple[list[Answered], list[Answered]]:
    """A model that attempts everything, and one that attempts some, right as often and as sure; `gain` is the second's luck."""
    rng = np.random.default_rng(seed)

    def answers(number: int, more: float) -> list[Answered]:
        sure = rng.beta(3, 1.5, questions)
        right = rng.random(questions) < np.clip(sure + more, 0, 1)
        tried = np.isin(np.arange(questions), rng.choice(questions, number, replace=False))
        told = np.where(tried, np.where(right, Verdict.CORRECT, Verdict.WRONG), Verdict.ABSTAINED)
        rows = zip(told.tolist(), sure.tolist(), strict=True)
        return [Answered(str(k), str(k % entities), Verdict(one), None, float(q)) for k, (one, q) in enumerate(rows)]

    return answers(questions, 0.0), answers(attempted, gain)


def false_alarms(runs: int, attempted: int, **how: int) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = {name: [] for name in OF_ATTEMPTS}
    for seed in range(runs):
        pair = alike_where_they_attempt(seed, attempted, **how)
        made = paired_differences(*pair, names=OF_ATTEMPTS, resamples=200, permutations=399, seed=seed)
        for name, one in made.items():
            found[name].append(one)
    return found


def test_who_attempts_little_is_not_called_different_for_that() -> None:
    """Swapping sides alone raised such alarms at a level of 5 % in 30 to 45 of 100."""
    for name, found in false_alarms(12, 20).items():
        tested = [one.test.p for one in found if one.test is not None]
        assert len(tested) > 9, name
        assert sum(p < 0.05 for p in tested) <= 2, name
        assert sum(p < 0.01 for p in tested) <= 1, name
        assert sum(one.shown for one in found) <= 2, name


@pytest.mark.full
@pytest.mark.parametrize(("attempted", "entities"), [(8, 400), (150, 400), (60, 80), (400, 80)])
def test_false_alarms_are_as_rare_as_the_level_says(attempted: int, entities: int) -> None:
    for name, found in false_alarms(200, attempted, entities=entities).items():
        p = np.array([one.test.p for one in found if one.test is not None])
        assert (p < 0.05).mean() <= 0.085, name  # 5 %, and two and a quarter standard errors of 200 runs
        assert (p < 0.01).mean() <= 0.03, name


def test_a_real_difference_between_such_models_is_still_found() -> None:
    first, second = alike_where_they_attempt(3, 150, gain=0.5)
    found = paired_differences(first, second, names=OF_ATTEMPTS, resamples=300, permutations=999)
    assert found["correct_given_attempted"].test.p <= 0.001
    assert found["correct_given_attempted"].shown


def test_twenty_right_out_of_twenty_prove_little() -> None:
    """No resample varies them, yet they may be the luck of a model that is right in four cases of five."""
    right, wrong, silent = Verdict.CORRECT, Verdict.WRONG, Verdict.ABSTAINED
    rows = [[Answered(str(k), str(k), right if k % 5 else wrong, None, None) for k in range(400)]]
    rows.append([Answered(str(k), str(k), right if k < 20 else silent, None, None) for k in range(400)])
    found = paired_differences(*rows, names=["correct_given_attempted"])["correct_given_attempted"]
    assert found.value == pytest.approx(0.2)
    assert found.interval is not None and found.interval.low < 0.03 and found.interval.high > 0.37
    assert found.test is not None and found.test.method == "bootstrap"
    assert 0.01 < found.test.p < 0.06, "by Fisher's exact test .018"


def test_one_attempt_is_no_evidence() -> None:
    rows = alike_where_they_attempt(1, 1)
    found = paired_differences(*rows, names=["correct_given_attempted"])["correct_given_attempted"]
    assert found.test is not None and found.test.p == 1.0
    assert not found.shown


@pytest.mark.parametrize("freedom", [4, 12, 60, 1000])
@pytest.mark.parametrize("t", [0.3, 1.9, 3.5])
def test_the_p_value_is_that_of_students_t(freedom: float, t: float) -> None:
    assert Spread(0.1, freedom, alike=False).p(0.1 * t) == pytest.approx(2 * stats.t.sf(t, freedom), rel=0.04)


@pytest.mark.parametrize("freedom", [4, 12, 60, 1000])
def test_and_so_is_the_interval(freedom: float) -> None:
    assert Spread(0.1, freedom, alike=False).half(0.95) == pytest.approx(0.1 * stats.t.ppf(0.975, freedom), rel=0.01)


def test_the_error_of_calibration_is_shown_and_not_compared() -> None:
    """It is too high in small samples, so who attempts less has the higher one by that alone."""
    first, second = alike_where_they_attempt(2, 20)
    found = paired_differences(first, second, names=["ece", "brier"], resamples=100, permutations=99)
    assert found["ece"].value is not None and found["ece"].value > 0
    assert found["ece"].interval is None and found["ece"].test is None
    assert verdict_of("ece", figure(found["ece"])) == ""
    assert found["brier"].test is not None


def test_one_figure_by_two_names_is_one_test() -> None:
    first, second = random_answers(seed=1), random_answers(seed=2)
    found = differences_between(first, second, Sampling(resamples=50, permutations=199))
    names = [name for name, one in METRICS.items() if one.same_as is None and found[name].p is not None]
    assert (METRICS["confidence_target_50"].same_as, METRICS["abstention_recall"].same_as) == ("truthfulness", "prudence")
    smallest = min(found[name].p for name in names)
    assert min(found[name].p_adjusted for name in names) == pytest.approx(min(1, smallest * len(names)), abs=1e-5)
    for name, one in METRICS.items():
        if one.same_as is not None:
            assert (found[name].value, found[name].p_adjusted) == (found[one.same_as].value, found[one.same_as].p_adjusted)


def test_tables_are_adjusted_together() -> None:
    tables = [
        differences_between(random_answers(seed=k), random_answers(seed=k + 9), Sampling(resamples=50, permutations=199))
        for k in range(2)
    ]
    family = sum(one.p is not None and METRICS[name].same_as is None for table in tables for name, one in table.items())
    adjust_tables(tables)
    smallest = min((one.p, one.p_adjusted) for table in tables for one in table.values() if one.p is not None)
    assert smallest[1] == pytest.approx(min(1.0, smallest[0] * family), abs=1e-5)


def test_how_often_is_drawn_by_chance_is_what_the_evaluation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    ece = METRICS["ece"]

    def drawn(columns, draws, seed):
        asked.append((draws, seed))
        return ece.by_chance(columns, draws, seed)

    estimates_of({"ece": replace(ece, by_chance=drawn)}, columns_of(random_answers()), resamples=1200, seed=3)
    assert asked == [(1200, 3)]
