"""Agreement equals published examples and independent implementations."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from annotations.statistics.agreement import (
    fleiss_kappa,
    krippendorff_alpha,
    mean_pairwise_kappa,
    percent_agreement,
    weighted_kappa,
)
from annotations.statistics.intervals import wilson
from annotations.statistics.ratings import NO_PAIRS, NO_VARIATION, Ratings, patterns_of, resamples_of

NAN = np.nan
METRICS = ("nominal", "ordinal", "interval", "ratio")
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: 4 observers, 12 units.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
# Fleiss's kappa worked example: 10 subjects, 14 raters, 5 categories; κ = 0.210.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def long(table: np.ndarray) -> Ratings:
    """Rows are raters, columns items."""
    rater, item = np.indices(table.shape)
    return Ratings.of(item.ravel(), rater.ravel(), table.ravel())


def random_table(seed: int, *, raters: int = 7, items: int = 60, missing: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = np.clip(rng.integers(0, 5, items) + rng.integers(-1, 2, (raters, items)), 0, 4).astype(float)
    table[rng.random(table.shape) < missing] = NAN
    return table


def alpha_by_definition(table: np.ndarray, metric: str) -> float:
    """Pair by pair, from the definition: 1 − mean difference within units / mean difference of any two ratings."""
    units = [[x for x in column if not np.isnan(x)] for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [x for unit in units for x in unit]

    def apart(a: float, b: float) -> float:
        if metric == "nominal":
            return float(a != b)
        if metric == "interval":
            return (a - b) ** 2
        if metric == "ratio":
            return ((a - b) / (a + b)) ** 2 if a + b else 0.0
        low, high = min(a, b), max(a, b)
        between = sum(low <= x <= high for x in values)
        return (between - (values.count(a) + values.count(b)) / 2) ** 2 if a != b else 0.0

    within = sum(2 * apart(a, b) / (len(unit) - 1) for unit in units for a, b in combinations(unit, 2)) / len(values)
    anywhere = sum(2 * apart(a, b) for a, b in combinations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - within / anywhere


@pytest.mark.parametrize(("metric", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)])
def test_alpha_of_the_published_example(metric, expected):
    found = krippendorff_alpha(long(PUBLISHED), metric=metric)
    assert found.value == pytest.approx(expected, abs=5e-4)
    assert (found.items, found.raters, found.pairs) == (11, 4, 55)
    assert found.interval.low < found.value <= found.interval.high


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_alpha_equals_its_definition_pair_by_pair(metric, seed):
    table = random_table(seed)
    assert krippendorff_alpha(long(table), metric=metric, resamples=2).value == pytest.approx(
        alpha_by_definition(table, metric), abs=1e-9
    )


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, (0.3290418833, 0.7501209737, 0.7540093992, 0.5345222126)),
        (1, (0.3200297971, 0.7863808845, 0.7854209446, 0.5069684155)),
    ],
)
def test_alpha_equals_the_krippendorff_package(seed, expected):
    """Values of `krippendorff.alpha` 0.9.0 (GPL-3, so it is not a dependency), computed once by hand on these tables."""
    for metric, value in zip(METRICS, expected, strict=True):
        assert krippendorff_alpha(long(random_table(seed)), metric=metric, resamples=2).value == pytest.approx(value, abs=1e-6)


def test_alpha_does_not_depend_on_the_order_or_names_of_items_and_raters():
    ratings, rng = long(random_table(3)), np.random.default_rng(0)
    mixed = rng.permutation(ratings.item.size)
    other = Ratings.of(ratings.item[mixed] * 1000 + 7, 90 - ratings.rater[mixed], ratings.value[mixed])
    assert krippendorff_alpha(other) == krippendorff_alpha(ratings)


def test_the_ratio_metric_refuses_negative_values():
    found = krippendorff_alpha(long(random_table(1) - 2), metric="ratio")
    assert found.value is None
    assert "0 and above" in found.reason


@pytest.mark.parametrize("statistic", [krippendorff_alpha, fleiss_kappa, mean_pairwise_kappa])
def test_what_cannot_be_computed_is_none_and_says_why(statistic):
    alone = Ratings.of([1, 2, 3], [1, 1, 2], [0, 1, 2])
    assert (statistic(alone).value, statistic(alone).reason) == (None, NO_PAIRS)
    nothing = Ratings.of([], [], [])
    assert (statistic(nothing).value, statistic(nothing).reason) == (None, NO_PAIRS)
    alike = Ratings.of([1, 1, 2, 2], [1, 2, 1, 2], [0, 0, 0, 0])
    assert (statistic(alike).value, statistic(alike).reason) == (None, NO_VARIATION)
    assert percent_agreement(alone).value is None


def test_a_missing_rating_is_not_a_zero():
    kept = Ratings.of([1, 1, 1, 2, 2], [1, 2, 3, 1, 2], [2, 2, NAN, -1, -1])
    assert kept.value.size == 4
    assert krippendorff_alpha(kept).value == pytest.approx(1)
    assert krippendorff_alpha(Ratings.of([1, 1, 1, 2, 2], [1, 2, 3, 1, 2], [2, 2, 0, -1, -1])).value < 0.9


def test_perfect_agreement_on_few_items_is_not_certainty():
    few = long(np.tile(np.array([0.0, 1, 2, 1, 0, 2, 2, 0]), (3, 1)))
    found = krippendorff_alpha(few)
    assert found.value == pytest.approx(1)
    assert found.interval.method == "wilson"
    assert found.interval.low == pytest.approx(wilson(1.0, 8).low)


def test_one_item_has_no_interval():
    found = krippendorff_alpha(Ratings.of([1, 1, 1], [1, 2, 3], [0, 1, 1]))
    assert found.value is not None
    assert found.interval is None
    assert found.reason


def test_interval_equals_a_plain_bootstrap_over_items():
    """Item after item, drawn with replacement, with the definition's α of each draw."""
    table, rng = random_table(5, items=40), np.random.default_rng(1)
    plain = [krippendorff_alpha(long(table[:, rng.integers(0, 40, 40)]), resamples=1).value for _ in range(3000)]
    found = krippendorff_alpha(long(table), resamples=3000).interval
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.02)


def test_both_ways_of_drawing_items_draw_as_many_as_there_are():
    for frequency in (np.array([400, 100, 3]), np.array([1, 1, 2, 1])):
        drawn = np.concatenate(list(resamples_of(frequency, resamples=300)))
        assert drawn.shape == (300, frequency.size)
        assert (drawn.sum(axis=1) == frequency.sum()).all()
        assert drawn.mean(axis=0) == pytest.approx(frequency, rel=0.2, abs=0.3)
        assert (drawn == np.concatenate(list(resamples_of(frequency, resamples=300)))).all()


def test_the_interval_of_alpha_covers_the_truth_about_as_often_as_it_says():
    def sample(rng: np.random.Generator, items: int) -> Ratings:
        truth = rng.choice([-2, -1, 0, 1, 2], items, p=[0.3, 0.1, 0.2, 0.1, 0.3])
        table = np.clip(truth + rng.choice([-1, 0, 1], (3, items), p=[0.2, 0.6, 0.2]), -2, 2).astype(float)
        table[rng.random(table.shape) < 0.2] = NAN
        return long(table)

    truth = krippendorff_alpha(sample(np.random.default_rng(0), 400_000), resamples=2).value
    rng, hits = np.random.default_rng(1), 0
    for seed in range(300):
        interval = krippendorff_alpha(sample(rng, 150), resamples=400, seed=seed).interval
        hits += interval.low <= truth <= interval.high
    assert 0.91 <= hits / 300 <= 0.985


@pytest.mark.parametrize(("weights", "theirs"), [("unweighted", None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_weighted_kappa_equals_scikit_learn(weights, theirs):
    rng = np.random.default_rng(11)
    first = rng.integers(-2, 3, 200)
    second = np.clip(first + rng.integers(-1, 2, 200), -2, 2)
    expected = cohen_kappa_score(first, second, weights=theirs, labels=[-2, -1, 0, 1, 2])
    found = weighted_kappa(first, second, weights=weights)
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.interval.low < expected < found.interval.high
    assert found.items == 200


def test_kappa_goes_by_the_items_that_both_rated():
    found = weighted_kappa([1, NAN, 2, 0, 2], [1, 2, NAN, 0, 1])
    assert found.items == 3
    assert found.value == pytest.approx(weighted_kappa([1, 0, 2], [1, 0, 1]).value)
    assert weighted_kappa([1, NAN], [NAN, 1]).value is None


@pytest.mark.parametrize("weights", ["unweighted", "linear", "quadratic"])
def test_mean_kappa_is_the_mean_over_pairs_weighted_by_their_common_items(weights):
    table = random_table(8, raters=6)
    found = mean_pairwise_kappa(long(table), weights=weights)
    pairs = [weighted_kappa(table[a], table[b], weights=weights, resamples=2) for a, b in combinations(range(6), 2)]
    assert found.value == pytest.approx(np.average([p.value for p in pairs], weights=[p.items for p in pairs]), abs=1e-9)
    assert found.pairs == 15
    assert found.interval.low < found.value < found.interval.high


def test_the_jackknife_of_one_pair_is_near_its_bootstrap():
    rng = np.random.default_rng(2)
    first = rng.integers(-2, 3, 400)
    table = np.array([first, np.clip(first + rng.integers(-1, 2, 400), -2, 2)], float)
    plain, found = weighted_kappa(*table), mean_pairwise_kappa(long(table))
    assert found.value == pytest.approx(plain.value)
    assert (found.interval.low, found.interval.high) == pytest.approx((plain.interval.low, plain.interval.high), abs=0.015)


def test_mean_kappa_refuses_two_ratings_of_one_item_by_one_rater():
    with pytest.raises(ValueError, match="twice"):
        mean_pairwise_kappa(Ratings.of([1, 1, 1], [1, 1, 2], [0, 1, 1]))


def test_fleiss_kappa_of_the_published_example():
    rows = [(item, value) for item, row in enumerate(FLEISS) for value, count in enumerate(row) for _ in range(count)]
    item, value = zip(*rows, strict=True)
    found = fleiss_kappa(Ratings.of(item, np.arange(140) % 14, value))
    assert found.value == pytest.approx(0.2099, abs=5e-5)
    assert found.items == 10
    assert found.pairs == 10 * 91


def test_percent_agreement_counts_pairs_and_is_sure_by_items():
    ratings = Ratings.of([1, 1, 2, 2, 3, 3, 3], [1, 2, 1, 2, 1, 2, 3], [0, 0, 1, 2, 0, 2, 2])
    exact, near = percent_agreement(ratings), percent_agreement(ratings, within=1)
    assert exact.value == pytest.approx(2 / 5)
    assert near.value == pytest.approx(3 / 5)
    assert exact.interval == wilson(2 / 5, 25 / 11)
    assert exact.pairs == 5


def test_equal_numbers_of_ratings_make_the_effective_number_of_items_their_number():
    table = random_table(4, raters=3, items=50, missing=0)
    found = percent_agreement(long(table), within=1)
    assert (found.interval.low, found.interval.high) == pytest.approx((wilson(found.value, 50).low, wilson(found.value, 50).high))


def test_patterns_hold_all_ratings_of_shared_items():
    ratings = long(random_table(9, items=500))
    patterns = patterns_of(ratings)
    assert patterns.items == np.unique(ratings.shared.item).size
    assert (patterns.frequency * patterns.size).sum() == ratings.shared.item.size


@pytest.mark.parametrize("bad", [([1], [1, 2], [0.0]), ([1], [1], [np.inf])])
def test_ratings_that_are_no_columns_of_numbers_are_refused(bad):
    with pytest.raises(ValueError, match=r"columns|finite"):
        Ratings.of(*bad)


def test_too_many_distinct_values_are_refused():
    with pytest.raises(ValueError, match="round"):
        krippendorff_alpha(Ratings.of(np.arange(200) // 2, np.arange(200) % 2, np.arange(200) / 7))
