"""One score an item: Dawid and Skene's model equals independent implementations; the median stands in where it must."""

from itertools import combinations
from statistics import mean, median

import numpy as np
import pytest

from annotations import fusion
from annotations.statistics.consensus import consensus, dawid_skene, normalised_entropy
from annotations.statistics.ratings import Ratings

# Dawid & Skene 1979, table 1: 45 patients by 5 anaesthetists, the first of whom saw each form three times.
ANAESTHETISTS = """
111 1 1 1 1;333 4 3 3 4;112 2 1 2 2;222 3 1 2 1;222 3 2 2 2;222 3 3 2 2;122 2 1 1 1;333 3 4 3 3;222 2 2 2 3;232 2 2 2 3;
444 4 4 4 4;222 3 3 4 3;111 1 1 1 1;222 3 2 1 2;121 1 1 1 1;111 2 1 1 1;111 1 1 1 1;111 1 1 1 1;222 2 2 2 1;222 1 3 2 2;
222 2 2 2 2;222 2 2 2 1;222 3 2 2 2;221 2 2 2 2;111 1 1 1 1;111 1 1 1 1;232 2 2 2 2;111 1 1 1 1;111 1 1 1 1;112 1 1 2 1;
111 1 1 1 1;333 3 2 3 3;111 1 1 1 1;222 2 2 2 2;222 3 2 3 2;433 4 3 4 3;221 2 2 3 2;232 3 2 3 3;333 3 4 3 2;111 1 1 1 1;
111 1 1 1 1;121 2 1 1 1;232 2 2 2 2;121 1 1 1 1;222 2 2 2 2
"""


def anaesthetists() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [
        (patient, rater, int(label) - 1)
        for patient, row in enumerate(ANAESTHETISTS.replace("\n", "").split(";"))
        for rater, labels in enumerate(row.split())
        for label in labels
    ]
    item, rater, label = np.array(rows).T
    return item, rater, label


def simulated(seed: int, *, items: int = 600, each: int = 4, raters: int = 8) -> tuple[Ratings, np.ndarray]:
    """Rater 0 gives +2 to everything, rater 1 is one step low, the others are right seven times in ten."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-2, 3, items)
    item = np.repeat(np.arange(items), each)
    rater = np.concatenate([rng.choice(raters, each, replace=False) for _ in range(items)])
    value = np.clip(truth[item] + rng.choice([-1, 0, 1], item.size, p=[0.15, 0.7, 0.15]), -2, 2)
    value = np.where(rater == 0, 2, value)
    value = np.where(rater == 1, np.clip(truth[item] - 1, -2, 2), value)
    return Ratings.of(item, rater, value), truth


def naive(item, rater, label, *, classes: int, smoothing: float, rounds: int) -> tuple[list[list[float]], list[float]]:
    """The model by its formulas, with dictionaries and products, no logarithms and no matrices."""
    items, raters = sorted(set(item)), sorted(set(rater))
    given = {i: [(r, c) for j, r, c in zip(item, rater, label, strict=True) if i == j] for i in items}
    belief = {i: [sum(c == k for _, c in given[i]) / len(given[i]) for k in range(classes)] for i in items}
    prior: list[float] = []
    for _ in range(rounds):
        sums = [sum(belief[i][k] for i in items) + smoothing for k in range(classes)]
        prior = [one / sum(sums) for one in sums]
        seen = {(r, k, c): smoothing for r in raters for k in range(classes) for c in range(classes)}
        for i in items:
            for r, c in given[i]:
                for k in range(classes):
                    seen[r, k, c] += belief[i][k]
        total = {(r, k): sum(seen[r, k, c] for c in range(classes)) for r in raters for k in range(classes)}
        for i in items:
            joint = []
            for k in range(classes):
                chance = prior[k]
                for r, c in given[i]:
                    chance *= seen[r, k, c] / total[r, k] if total[r, k] else 0.0
                joint.append(chance)
            belief[i] = [one / sum(joint) for one in joint]
    return [belief[i] for i in items], prior


def test_the_anaesthetists_equal_crowd_kit():
    """Values of crowd-kit 1.4.2 (DawidSkene, n_iter=3000, tol=-1) on the published data, computed once by hand."""
    fit = dawid_skene(*anaesthetists(), classes=4, smoothing=0, tolerance=0, max_iterations=3000)
    assert fit.prior == pytest.approx([0.399554753, 0.421983392, 0.111795189, 0.066666667], abs=1e-6)
    expected = {
        3: [0, 1, 0, 0],
        7: [0.981020295, 0.018979705, 0, 0],
        30: [0.999145875, 0.000854125, 0, 0],
        35: [0, 0.947995202, 0.052004798, 0],
        38: [0, 0.021200484, 0.978799516, 0],
        42: [0.999806439, 0.000193561, 0, 0],
    }
    for patient, posterior in expected.items():
        assert fit.posterior[patient - 1] == pytest.approx(posterior, abs=1e-6)
    first = [[0.889488, 0.110512, 0, 0], [0.070585, 0.87638, 0.053035, 0], [0, 0.338822, 0.661178, 0], [0, 0, 0.555556, 0.444444]]
    last = [[1, 0, 0, 0], [0.159039, 0.73452, 0.10644, 0], [0, 0.209114, 0.790886, 0], [0, 0, 0.333333, 0.666667]]
    for rater, rows in ((0, first), (4, last)):
        for found, wanted in zip(fit.confusion[rater], rows, strict=True):
            assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 0.5])
@pytest.mark.parametrize("rounds", [1, 2, 25])
def test_the_model_equals_its_formulas_step_by_step(smoothing, rounds):
    data = anaesthetists()
    posterior, prior = naive(*(column.tolist() for column in data), classes=4, smoothing=smoothing, rounds=rounds)
    fit = dawid_skene(*data, classes=4, smoothing=smoothing, max_iterations=rounds, tolerance=0)
    assert np.abs(fit.posterior - np.array(posterior)).max() < 1e-9
    assert fit.prior == pytest.approx(prior, abs=1e-9)


def test_the_model_equals_its_formulas_on_scores_with_gaps():
    ratings, _ = simulated(3, items=80, each=3)
    label = (ratings.value + 2).astype(int)
    posterior, _ = naive(ratings.item.tolist(), ratings.rater.tolist(), label.tolist(), classes=5, smoothing=0.01, rounds=30)
    fit = dawid_skene(ratings.item, ratings.rater, label, max_iterations=30, tolerance=0)
    assert np.abs(fit.posterior - np.array(posterior)).max() < 1e-6


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_never_falls(smoothing, seed):
    ratings, _ = simulated(seed, items=150, each=3)
    fit = dawid_skene(ratings.item, ratings.rater, ratings.value + 2, smoothing=smoothing, tolerance=0, max_iterations=150)
    assert (np.diff(fit.objective) >= -1e-9 * abs(fit.objective[-1])).all()
    if not smoothing:
        assert fit.objective[-1] == fit.log_likelihood


def test_posteriors_are_probabilities_and_rows_of_confusion_too():
    ratings, _ = simulated(1)
    fit = dawid_skene(ratings.item, ratings.rater, ratings.value + 2)
    assert fit.posterior.sum(axis=1) == pytest.approx(np.ones(600))
    assert fit.confusion.sum(axis=2) == pytest.approx(np.ones((8, 5)))
    assert fit.converged
    # It finds the one who gives +2 to everything, and the one who is a step low.
    assert fit.confusion[0, :, 4].min() > 0.95
    assert fit.confusion[1, 2, 1] > 0.9


def test_the_cap_on_rounds_holds_and_is_told():
    ratings, _ = simulated(1)
    fit = dawid_skene(ratings.item, ratings.rater, ratings.value + 2, max_iterations=3)
    assert (fit.iterations, fit.converged) == (3, False)


@pytest.mark.parametrize("label", [[0, 1.5], [0, 5], [-1, 0], []])
def test_labels_that_are_no_class_are_refused(label):
    with pytest.raises(ValueError, match="label"):
        dawid_skene([0] * len(label), list(range(len(label))), label)


def test_it_beats_the_median_where_one_spams_and_one_is_biased():
    fitted, medians = [], []
    for seed in range(6):
        ratings, truth = simulated(seed)
        fitted.append((consensus(ratings).score == truth).mean())
        medians.append((consensus(ratings, method="median").score == truth).mean())
    assert mean(fitted) > mean(medians) + 0.02
    assert mean(fitted) > 0.85


def test_the_median_and_its_disagreement_equal_the_plain_ones():
    rng = np.random.default_rng(4)
    item, value = rng.integers(0, 200, 700), rng.integers(-4, 5, 700) / 2
    found = consensus(Ratings.of(item, np.arange(700), value), method="median")
    for place, one in enumerate(found.item):
        given = value[item == one].tolist()
        assert found.score[place] == median(given)
        assert found.expected[place] == median(given)
        if len(given) == 1:
            assert np.isnan(found.disagreement[place])
        else:
            apart = mean(abs(a - b) for a, b in combinations(given, 2)) / 4
            assert found.disagreement[place] == pytest.approx(apart)
            assert found.disagreement[place] == pytest.approx(1 - fusion.consensus(given))
        assert (found.method(place), found.reason(place)) == ("median", "asked for")


def test_each_item_says_which_method_it_got_and_why():
    ratings, _ = simulated(2)
    item = np.concatenate([ratings.item, [1000, 1001, 1001, 1002, 1002]])
    rater = np.concatenate([ratings.rater, [3, 3, 4, 4, 99]])
    value = np.concatenate([ratings.value, [1, 0.5, 1, 2, 2]])
    found = consensus(Ratings.of(item, rater, value))
    ways = {int(one): (found.method(place), found.reason(place)) for place, one in enumerate(found.item)}
    assert ways[1000] == ("median", "one score")
    assert ways[1001] == ("median", "half step")
    assert ways[1002] == ("median", "new rater")
    assert {ways[one] for one in range(600)} == {("dawid-skene", "")}
    assert found.score[found.item == 1001] == 0.75
    assert sorted(found.model_raters) == list(range(8))


def test_little_data_gets_medians_throughout():
    ratings, _ = simulated(2, items=60)
    found = consensus(ratings, min_ratings=5)
    assert found.model is None
    assert {found.reason(place) for place in range(60)} == {"few items"}
    assert (found.score == consensus(ratings, method="median").score).all()


def test_leaving_items_out_can_leave_another_rater_with_too_few():
    """Rater 1's ten items are all shared with rater 2, who has too few: then rater 1 has none left."""
    item = np.concatenate([np.repeat(np.arange(300), 2), np.repeat(np.arange(300, 350), 2)])
    rater = np.concatenate([np.tile([10, 11], 300), np.repeat(np.arange(12, 22), 10)])
    found = consensus(Ratings.of(item, rater, np.tile([0, 1, 1, 1, 2], 140)))
    assert found.fitted.sum() == 300
    assert {found.reason(place) for place in range(300, 350)} == {"new rater"}


def test_a_missing_score_is_no_score_of_zero():
    found = consensus(Ratings.of([1, 1, 2], [1, 2, 1], [2, np.nan, np.nan]))
    assert found.item.tolist() == [1]
    assert found.score.tolist() == [2]
    assert found.ratings.tolist() == [1]


def test_nothing_gives_nothing():
    assert consensus(Ratings.of([], [], [])).item.size == 0


def test_entropy_is_0_for_certainty_and_1_for_none():
    posterior = np.array([[1.0, 0, 0, 0, 0], [0.2] * 5, [0.5, 0.5, 0, 0, 0]])
    assert normalised_entropy(posterior) == pytest.approx([0, 1, np.log(2) / np.log(5)])


def test_the_fit_does_not_depend_on_the_order_of_scores():
    ratings, _ = simulated(5)
    mixed = np.random.default_rng(0).permutation(ratings.item.size)
    assert consensus(ratings).expected == pytest.approx(consensus(ratings.where(mixed)).expected, abs=1e-6)
