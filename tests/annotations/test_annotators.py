"""One annotator's figures: against the others, against gold, and what is worth a look."""

from statistics import median

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from annotations.statistics.annotators import (
    LEAST_FOR_SIGNALS,
    GivenScores,
    annotators,
    confusion_table,
    mean_difference,
    others_median,
)
from annotations.statistics.consensus import consensus
from annotations.statistics.intervals import wilson
from annotations.statistics.ratings import Ratings

NAN = np.nan


def given(item, rater, value, *, seconds=None, gold=None, consensus=None) -> GivenScores:
    n = len(item)
    columns = (np.full(n, NAN) if one is None else np.asarray(one, float) for one in (seconds, consensus, gold))
    took, came_to, right = columns
    return GivenScores(np.asarray(item), np.asarray(rater), np.asarray(value, float), took, came_to, right)


def of_people(seed: int = 0, *, items: int = 120) -> GivenScores:
    """Three people on each item: 0 and 1 near the truth, 2 always a step low."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, 3, items)
    item, rater = np.repeat(np.arange(items), 3), np.tile([0, 1, 2], items)
    value = np.clip(truth[item] + np.where(rater == 2, -1, rng.choice([0, 0, 1], item.size)), -2, 2)
    came = consensus(Ratings.of(item, rater, value), method="median").score[item]
    return given(
        item, rater, value, consensus=came, gold=np.where(item < 20, truth[item], NAN), seconds=rng.uniform(10, 60, item.size)
    )


def test_the_median_of_the_others_is_just_that():
    rng = np.random.default_rng(1)
    item, value = rng.integers(0, 40, 150), rng.integers(-4, 5, 150) / 2
    value[rng.random(150) < 0.1] = NAN
    found = others_median(item, value)
    for place in range(150):
        others = [value[j] for j in range(150) if item[j] == item[place] and j != place and not np.isnan(value[j])]
        if np.isnan(value[place]) or not others:
            assert np.isnan(found[place])
        else:
            assert found[place] == median(others)


def test_figures_against_the_others():
    scores = of_people()
    first, _, low = annotators(scores)
    own = scores.value[scores.rater == 2]
    others = others_median(scores.item, scores.value)[scores.rater == 2]
    assert low.n == 120
    assert low.bias.value == pytest.approx((own - others).mean())
    expected = stats.ttest_1samp(own - others, 0).confidence_interval(0.95)
    assert (low.bias.interval.low, low.bias.interval.high) == pytest.approx((expected.low, expected.high))
    assert low.bias.interval.high < -0.5
    assert first.bias.value > 0
    assert low.exact.value == pytest.approx((own == others).mean())
    assert low.within_one.value == pytest.approx((np.abs(own - others) <= 1).mean())
    assert low.within_one.interval == wilson(low.within_one.value, 120)
    steps = np.arange(-4, 5)
    kappa = cohen_kappa_score((own * 2).astype(int), (others * 2).astype(int), weights="quadratic", labels=steps)
    assert low.kappa.value == pytest.approx(kappa)


def test_figures_against_gold():
    scores = of_people()
    low = annotators(scores)[2]
    known = (scores.rater == 2) & (scores.item < 20)
    assert low.gold_exact.n == 20
    assert low.gold_exact.value == (scores.value[known] == scores.gold[known]).mean()
    assert low.gold_within_one.value == 1
    assert low.gold_within_one.interval == wilson(1, 20)
    assert low.gold_bias.value == pytest.approx((scores.value[known] - scores.gold[known]).mean())


def test_the_table_of_confusion_counts_every_score_once():
    scores = of_people()
    one = annotators(scores)[0]
    assert sum(sum(row) for row in one.confusion.values()) == 120
    assert list(one.confusion) == sorted(one.confusion, reverse=True)
    assert list(np.sum(list(one.confusion.values()), axis=0)) == list(one.scores)
    table = confusion_table(np.array([2.0, 2, 0.5, NAN]), np.array([2.0, 1, 0, 1]))
    assert table == {2.0: [0, 0, 0, 1, 1], 0.5: [0, 0, 1, 0, 0]}


def test_who_was_alone_or_could_verify_nothing_has_reasons_in_place_of_figures():
    alone, blank = annotators(given([1, 2, 3], [1, 1, 2], [0, 2, NAN]))
    assert (alone.kappa.value, alone.bias.value, alone.exact.value, alone.gold_exact.value) == (None, None, None, None)
    assert "nobody else" in alone.bias.reason
    assert "gold" in alone.gold_exact.reason
    assert alone.seconds_median is None
    assert alone.cannot_verify.value == 0
    assert blank.n == 1
    assert blank.cannot_verify.value == 1
    assert sum(blank.scores) == 0
    assert blank.bias.value is None


def test_cannot_verify_is_no_score_of_zero():
    found = annotators(given([1, 1, 2, 2], [1, 2, 1, 2], [2, NAN, 1, 2]))[0]
    assert found.bias.n == 1
    assert found.bias.value == -1


def test_equal_differences_are_no_certainty():
    found = mean_difference(np.full(10, -1.0), "")
    assert found.value == -1
    assert found.interval.low == pytest.approx(-1 - (1 - wilson(1.0, 10).low))
    assert mean_difference(np.array([1.0]), "").interval is None


@pytest.mark.parametrize("apart", [[4.0, -4.0], [4.0, 3.0], [-4.0, -4.0], [4.0, 4.0, 4.0]])
def test_no_interval_of_a_mean_difference_reaches_beyond_the_width_of_the_scale(apart):
    found = mean_difference(np.array(apart), "").interval
    assert -4 <= found.low <= found.high <= 4


def many(values: list[float], others: list[float], *, seconds: float = 30.0, usual: float = 30.0) -> GivenScores:
    n = len(values)
    return given(list(range(n)) * 2, [1] * n + [2] * n, values + others, seconds=[seconds] * n + [usual] * n)


def test_one_value_for_nearly_everything_is_worth_a_look():
    odd = annotators(many([2.0] * 40, [2.0, 0.0] * 20))[0]
    assert [signal.kind for signal in odd.signals] == ["one-value"]
    assert "100%" in odd.signals[0].text
    # Not where the items are like that, nor on a few scores.
    assert not annotators(many([2.0] * 40, [2.0] * 40))[0].signals
    few = LEAST_FOR_SIGNALS - 1
    assert not annotators(many([2.0] * few, [0.0] * few))[0].signals


def test_far_too_fast_is_worth_a_look():
    quick, slow = annotators(many([2.0, 0.0] * 20, [2.0, 0.0] * 20, seconds=1.0, usual=40.0))
    assert [signal.kind for signal in quick.signals] == ["fast"]
    assert not slow.signals
    # Short answers are quick to judge: nobody is fast where all are.
    assert not annotators(many([2.0, 0.0] * 20, [2.0, 0.0] * 20, seconds=2.0, usual=3.0))[0].signals


def test_times_are_medians_and_tenths():
    found = annotators(given([1, 2, 3], [1, 1, 1], [0, 1, 2], seconds=[10, NAN, 20]))[0]
    assert found.seconds_median == 15
    assert found.seconds_p90 == pytest.approx(19)


def test_nobody_gives_nothing():
    assert annotators(given([], [], [])) == []
