from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from annotations.statistics.intervals import wilson
from annotations.verdicts import Verdict
from evaluation.metrics import METRICS, Answered, columns_of, compute
from evaluation.metrics.calibration import calibrated_error
from evaluation.statistics import entity_weights, estimates, gap, paired_differences
from tests.evaluation.samples import random_answers


def shares(flags: list[bool], *, per_entity: int = 1) -> list[Answered]:
    return [
        Answered(str(i), str(i // per_entity), Verdict.CORRECT if flag else Verdict.WRONG, True, 0.5)
        for i, flag in enumerate(flags)
    ]


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (81, 263)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    found = wilson(k / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_wilson_published_example() -> None:
    """Newcombe 1998, table I, method 3: 81/263 gives .2553 to .3662; 0/20 gives 0 to .1611."""
    assert wilson(81 / 263, 263).low == pytest.approx(0.2553, abs=5e-5)
    assert wilson(81 / 263, 263).high == pytest.approx(0.3662, abs=5e-5)
    assert wilson(0.0, 20).high == pytest.approx(0.1611, abs=5e-5)


def test_each_resample_draws_as_many_entities_as_there_are() -> None:
    weights = entity_weights(17, resamples=50)
    assert weights.shape == (50, 17)
    assert (weights.sum(axis=1) == 17).all()
    assert (weights == entity_weights(17, resamples=50)).all()
    assert (weights != entity_weights(17, resamples=50, seed=21)).any()


def test_entities_are_drawn_some_at_a_time_and_the_same_as_all_at_once(monkeypatch) -> None:
    drawn = np.random.default_rng(3).integers(0, 4001, size=(600, 4001))
    assert (entity_weights(4001, resamples=600, seed=3)[599] == np.bincount(drawn[599], minlength=4001)).all()
    at_once = entity_weights(17, resamples=50)
    monkeypatch.setattr("evaluation.statistics._CELLS", 40)
    assert (at_once == entity_weights(17, resamples=50)).all()
    monkeypatch.setattr("evaluation.statistics._CELLS", 100_000)
    tracemalloc.start()
    try:
        whole = entity_weights(4001, resamples=600).nbytes
        assert tracemalloc.get_traced_memory()[1] < 1.5 * whole
    finally:
        tracemalloc.stop()


def test_bootstrap_of_a_mean_equals_scipy() -> None:
    flags = (np.random.default_rng(0).random(200) < 0.3).tolist()
    found = estimates(columns_of(shares(flags)), names=["correct"], resamples=9999)["correct"].interval
    expected = stats.bootstrap((np.array(flags, float),), np.mean, method="percentile", rng=1).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_answers_about_one_entity_stand_or_fall_together() -> None:
    """200 answers about 20 people who are all right or all wrong carry 20 answers' worth of evidence."""
    people = (np.random.default_rng(2).random(20) < 0.5).tolist()
    clustered = estimates(columns_of(shares([p for p in people for _ in range(10)], per_entity=10)), names=["correct"])
    alone = estimates(columns_of(shares(people)), names=["correct"])
    wide, wanted = clustered["correct"].interval, alone["correct"].interval
    assert wide is not None
    assert wanted is not None
    assert wide.high - wide.low == pytest.approx(wanted.high - wanted.low, abs=0.01)
    assert clustered["correct"].n == 200
    assert clustered["correct"].entities == 20


def test_interval_covers_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(4), 0
    for _ in range(200):
        answered = columns_of(shares((rng.random(120) < 0.7).tolist()))
        interval = estimates(answered, names=["correct"], resamples=400)["correct"].interval
        assert interval is not None
        hits += interval.low <= 0.7 <= interval.high
    assert 0.89 <= hits / 200 <= 0.99


def confident(ok: np.ndarray, confidence: np.ndarray) -> list[Answered]:
    pairs = enumerate(zip(ok, confidence, strict=True))
    return [Answered(str(i), str(i), Verdict.CORRECT if o else Verdict.WRONG, None, float(c)) for i, (o, c) in pairs]


@pytest.mark.parametrize("power", [1, 2])
def test_the_interval_of_ece_covers_calibrated_and_overconfident_models_alike(power: int) -> None:
    """ECE is never 0 in a sample. Taken as it comes, or reflected about the value, its interval nearly never held the 0 of a
    calibrated model."""
    rng, hits = np.random.default_rng(5), 0
    even = (np.arange(100_000) + 0.5) / 100_000
    truth = sum(abs((even[bin] ** power - even[bin]).sum()) for bin in np.split(np.arange(100_000), 10)) / 100_000
    for _ in range(60):
        confidence = rng.random(120)
        rows = confident(rng.random(120) < confidence**power, confidence)
        interval = estimates(columns_of(rows), names=["ece"], resamples=200)["ece"].interval
        assert interval is not None
        hits += interval.low <= truth <= interval.high
    assert hits / 60 >= 0.88


def test_the_error_of_a_calibrated_model_is_what_drawing_its_outcomes_gives() -> None:
    rng = np.random.default_rng(6)
    confidence = rng.random(300)
    drawn = [columns_of(confident(rng.random(300) < confidence, confidence)) for _ in range(200)]
    by_outcomes = np.quantile([compute("ece", columns) for columns in drawn], [0.5, 0.975])
    by_normal = np.mean([np.quantile(calibrated_error(columns, 1000, 1), [0.5, 0.975]) for columns in drawn[:20]], axis=0)
    assert by_normal == pytest.approx(by_outcomes, rel=0.12)


def test_all_right_is_not_certainty() -> None:
    """Where every entity agrees a bootstrap has nothing to vary; Wilson on the entities says what 20 of 20 are worth."""
    found = estimates(columns_of(shares([True] * 80, per_entity=4)), names=["correct", "truthfulness"])
    interval = found["correct"].interval
    assert interval is not None
    assert interval.method == "wilson"
    assert (interval.low, interval.high) == pytest.approx((wilson(1.0, 20).low, 1.0))
    wider = found["truthfulness"].interval
    assert wider is not None
    assert wider.low == pytest.approx(2 * wilson(1.0, 20).low - 1)


def test_every_interval_holds_its_value_and_stays_in_range() -> None:
    for seed in range(4):
        for name, found in estimates(columns_of(random_answers(n=60, seed=seed)), resamples=200).items():
            if found.value is None:
                assert found.reason
                assert found.interval is None
                continue
            assert found.interval is not None
            assert METRICS[name].low - 1e-9 <= found.interval.low <= found.value + 1e-9, name
            assert found.value - 1e-9 <= found.interval.high <= METRICS[name].high + 1e-9, name


def test_no_answers_give_reasons_and_no_error() -> None:
    assert all(found.value is None and found.reason == "no items" for found in estimates(columns_of([])).values())


def test_pairing_narrows_a_difference() -> None:
    """Two models that differ on 10 of 200 items: the paired interval is narrower than the two apart would give."""
    first = (np.random.default_rng(0).random(200) < 0.5).tolist()
    second = [True if i < 20 else flag for i, flag in enumerate(first)]
    found = paired_differences(shares(first), shares(second), names=["correct"])["correct"]
    assert found.value == pytest.approx(np.mean(second) - np.mean(first))
    assert found.interval is not None
    assert found.interval.high - found.interval.low < 0.1
    assert found.shown


def test_paired_difference_equals_scipy() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.random(150) < 0.5, rng.random(150) < 0.7
    found = paired_differences(shares(first.tolist()), shares(second.tolist()), names=["correct"], resamples=9999)["correct"]
    change = second.astype(float) - first
    expected = stats.bootstrap((change,), np.mean, method="percentile", rng=1).confidence_interval
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_only_common_items_are_compared() -> None:
    first, second = shares([True] * 10), shares([False] * 12)
    found = paired_differences(first, second, names=["correct"])["correct"]
    assert found.n == 10
    assert found.value == -1
    assert paired_differences(first, [], names=["correct"])["correct"].reason == "no item in common"


def test_two_models_questions_are_about_the_same_whatever_their_rows_say() -> None:
    first = shares([True, False] * 20, per_entity=4)
    second = [Answered(row.item, f"other {row.item}", row.verdict, row.known, row.confidence) for row in first]
    found = paired_differences(first, second, names=["correct"], resamples=100)["correct"]
    assert found.value == 0
    assert found.test is not None
    assert found.test.p == 1


def test_the_same_answers_twice_show_no_difference() -> None:
    rows = random_answers()
    for found in paired_differences(rows, rows, resamples=100).values():
        assert found.value == 0
        assert not found.shown


def test_gap_is_trained_on_minus_held_out() -> None:
    trained_on, held_out = columns_of(shares([True] * 30 + [False] * 10)), columns_of(shares([True] * 10 + [False] * 30))
    found = gap(trained_on, held_out, "correct")
    assert found.value == pytest.approx(0.5)
    assert found.shown
    assert gap(trained_on, columns_of([]), "correct").reason == "needs items on both sides"
