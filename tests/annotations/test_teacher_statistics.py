"""A teacher measured against people: each figure against an independent computation or what is known by construction."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

from annotations.statistics.alternative import alternative_annotator_test, benjamini_yekutieli
from annotations.statistics.prediction_powered import debiased_mean
from annotations.statistics.ratings import Ratings
from annotations.statistics.teachers import teacher_quality

SCALE = np.arange(-2, 3)


def scored(seed: int, items: int, people: int, noise: float, teacher_noise: float) -> tuple[Ratings, np.ndarray, np.ndarray]:
    """People (some of whom skip items) and a teacher, who see the truth with noise."""
    draw = np.random.default_rng(seed)
    truth = draw.choice(SCALE, items)

    def seen(spread: float) -> np.ndarray:
        return np.clip(np.rint(truth + draw.normal(0, spread, items)), -2, 2)

    table = np.stack([np.where(draw.random(items) < 0.15, np.nan, seen(noise)) for _ in range(people)])
    rater, item = np.divmod(np.arange(table.size), items)
    return Ratings.of(item, rater, table.ravel()), np.arange(items), seen(teacher_noise)


def by_the_paper(people: Ratings, teacher: dict[int, float], epsilon: float) -> tuple[float, float, list[float]]:
    """The test item by item, with scipy's t-test and statsmodels' adjustment."""
    items: dict[int, dict[int, float]] = {}
    for item, rater, value in zip(people.item, people.rater, people.value, strict=True):
        items.setdefault(int(item), {})[int(rater)] = float(value)
    shares, p = [], []
    for rater in sorted({int(one) for one in people.rater}):
        wins, behind = [], []
        for item, given in items.items():
            others = [value for who, value in given.items() if who != rater]
            if rater not in given or not others or item not in teacher:
                continue
            mine, theirs = (np.sqrt(np.mean([(x - one) ** 2 for one in others])) for x in (given[rater], teacher[item]))
            tie = abs(mine - theirs) < 1e-12
            wins.append(float(theirs < mine or tie))
            behind.append(float(mine < theirs or tie) - wins[-1])
        if len(wins) >= 30:
            shares.append(float(np.mean(wins)))
            p.append(float(stats.ttest_1samp(behind, epsilon, alternative="less").pvalue))
    rejected = multipletests(p, 0.05, "fdr_by")[0]
    return float(np.mean(rejected)), float(np.mean(shares)), p


@pytest.mark.parametrize(("seed", "noise", "teacher_noise"), [(0, 0.9, 0.5), (1, 0.7, 0.8), (2, 0.4, 1.6)])
def test_the_alternative_annotator_test_is_that_of_its_paper(seed, noise, teacher_noise):
    people, item, value = scored(seed, 80, 5, noise, teacher_noise)
    value[::9] = np.nan
    found = alternative_annotator_test(people, item, value)
    teacher = {int(i): float(v) for i, v in zip(item, value, strict=True) if not np.isnan(v)}
    rate, advantage, p = by_the_paper(people, teacher, 0.15)
    assert found.winning_rate == pytest.approx(rate, abs=1e-6)
    assert found.advantage == pytest.approx(advantage, abs=1e-6)
    assert [one.p for one in found.people] == pytest.approx(p, abs=1e-9)
    assert found.passed == (rate >= 0.5)


def test_a_teacher_as_good_as_people_passes_and_one_that_guesses_does_not():
    people, item, value = scored(3, 150, 4, 0.9, 0.3)
    assert alternative_annotator_test(people, item, value).passed is True
    guessed = np.random.default_rng(4).choice(SCALE, item.size).astype(float)
    found = alternative_annotator_test(people, item, guessed)
    assert found.passed is False
    assert found.winning_rate == 0


def test_without_enough_people_there_is_no_verdict_but_a_reason():
    people, item, value = scored(5, 80, 1, 0.5, 0.5)
    found = alternative_annotator_test(people, item, value)
    assert (found.passed, found.winning_rate, found.tested) == (None, None, 0)
    assert "fewer than 2 people" in (found.reason or "")
    few = alternative_annotator_test(*scored(5, 29, 3, 0.5, 0.5))
    assert few.passed is None
    assert all(one.p is None and one.wins is None for one in few.people)
    with pytest.raises(ValueError, match="twice"):
        alternative_annotator_test(people, [1, 1], [0.0, 1.0])


def test_false_discoveries_are_adjusted_for_as_statsmodels_does():
    draw = np.random.default_rng(6)
    for _ in range(50):
        p = [float(one) for one in draw.beta(0.3, 3, draw.integers(1, 9))]
        assert benjamini_yekutieli(p, 0.05) == list(multipletests(p, 0.05, "fdr_by")[0])


def mean_case(draw: np.random.Generator, both: int, other: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People around a mean of .3; a teacher that is .8 too kind and otherwise close."""
    y = draw.normal(0.3, 1, both + other)
    f = y + 0.8 + draw.normal(0, 0.4, both + other)
    return y[:both], f[:both], f[both:]


def test_the_debiased_mean_is_that_of_its_papers():
    y, f, other = mean_case(np.random.default_rng(7), 60, 500)
    found = debiased_mean(y, f, other)
    weight = np.cov(y, f, ddof=0)[0, 1] / ((1 + 60 / 500) * np.var(np.r_[f, other], ddof=1))
    value = weight * other.mean() + np.mean(y - weight * f)
    error = np.sqrt(weight**2 * np.var(other, ddof=1) / 500 + np.var(y - weight * f, ddof=1) / 60)
    assert found.weight == pytest.approx(weight, abs=1e-9)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(stats.t.interval(0.95, 59, value, error), abs=1e-9)
    assert found.worth == pytest.approx(np.var(y, ddof=1) / 60 / error**2)


def test_a_teacher_that_is_too_kind_does_not_move_the_mean_and_a_close_one_narrows_it():
    draw, held, worth = np.random.default_rng(8), 0, []
    for _ in range(400):
        found = debiased_mean(*mean_case(draw, 40, 400))
        assert found.interval is not None
        held += found.interval.low <= 0.3 <= found.interval.high
        worth.append(found.worth)
        assert found.teacher_alone == pytest.approx(1.1, abs=0.35)
    assert 0.92 <= held / 400 <= 0.985
    assert np.mean(worth) > 2


def test_a_teacher_that_knows_nothing_is_not_trusted():
    y, _, other = mean_case(np.random.default_rng(9), 40, 100)
    same = debiased_mean(y, np.ones(40), np.ones(100))
    assert same.weight == 0
    assert same.value == pytest.approx(y.mean())
    few = debiased_mean(y[:19], y[:19], other)
    assert (few.value, few.interval) == (None, None)
    assert "fewer than 20" in (few.reason or "")
    assert few.people_alone.value == pytest.approx(y[:19].mean())
    assert "no item besides" in (debiased_mean(y, y, []).reason or "")


def test_biases_are_found_where_they_are():
    draw = np.random.default_rng(10)
    people = draw.choice(SCALE, 600).astype(float)
    length = draw.integers(20, 2000, 600).astype(float)
    source = np.where(draw.random(600) < 0.5, "ours", "theirs")
    teacher = people + np.where(source == "ours", 0.5, 0.0) + np.where(length > 1000, 0.5, 0.0)
    teacher[people == 2] = 2
    found = teacher_quality(people, teacher, length, list(source), resamples=200)
    apart = teacher - people
    assert found.bias.value == pytest.approx(apart.mean())
    assert found.length.value == pytest.approx(stats.spearmanr(apart, length).statistic, abs=1e-9)
    assert found.length.interval is not None
    assert found.length.interval.low > 0
    by_source = {one.level: one.mean.value for one in found.by_source}
    assert by_source["ours"] - by_source["theirs"] == pytest.approx(
        apart[source == "ours"].mean() - apart[source == "theirs"].mean()
    )
    assert {one.level: one.mean.value for one in found.by_score}["+2"] == 0
    assert [one.level for one in found.by_score] == ["+2", "+1", "0", "-1", "-2"]
    assert found.exact.value == pytest.approx((apart == 0).mean())


def test_a_calibrated_teacher_has_a_slope_of_one_and_one_that_exaggerates_a_smaller_one():
    draw = np.random.default_rng(11)
    teacher = np.repeat(SCALE, 80).astype(float)
    calibrated = teacher_quality(teacher + np.tile([-1, 1], 200), teacher, np.ones(400), [""] * 400, resamples=300)
    assert calibrated.slope.value == pytest.approx(1)
    assert calibrated.slope.interval is not None
    assert calibrated.slope.interval.low < 1 < calibrated.slope.interval.high
    people = teacher / 2 + draw.normal(0, 0.1, 400)
    exaggerates = teacher_quality(people, teacher, np.ones(400), [""] * 400, resamples=20)
    design = sm.OLS(people, sm.add_constant(teacher)).fit()
    assert exaggerates.slope.value == pytest.approx(design.params[1], abs=1e-9)
    assert exaggerates.slope.interval is not None
    assert (exaggerates.slope.interval.low, exaggerates.slope.interval.high) == pytest.approx(
        tuple(design.conf_int()[1]), abs=1e-9
    )
    assert {one.level: one.mean.value for one in exaggerates.calibration}["-2"] == pytest.approx(-1, abs=0.05)
    assert teacher_quality(people, np.ones(400), np.ones(400), [""] * 400, resamples=20).slope.value is None
    assert calibrated.length.reason == "all differences or all lengths are the same"


def test_nothing_in_common_is_no_figure():
    found = teacher_quality([np.nan, 1.0], [1.0, np.nan], [5, 5], ["", ""])
    assert (found.both, found.kappa.value, found.bias.value, found.slope.value) == (0, None, None, None)
