"""Length, divergence and diversity of text, against scipy and hand-worked examples; agreement with people."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from evaluation.metrics import value_of
from evaluation.metrics.agreement import agreement_between
from evaluation.metrics.text import (
    DRAW_METRICS,
    ENDING_METRICS,
    KL_METRICS,
    LENGTH_METRICS,
    Text,
    distinct,
    distinct_among,
    draws_of,
    entropy,
    ngrams,
    ngrams_of,
    texts_of,
)
from evaluation.statistics import corpus_estimate, estimates_of


def test_kl_of_draws_in_the_models_own_proportions_equals_scipy() -> None:
    """Drawn exactly in proportion to p, the mean of log p − log q is the divergence itself."""
    p, q = np.array([4, 2, 1, 1]) / 8, np.array([0.1, 0.3, 0.4, 0.2])
    draws = [k for k, number in enumerate((4, 2, 1, 1)) for _ in range(number)]
    texts = [Text(str(i), "x", 3, math.log(p[k]), math.log(q[k])) for i, k in enumerate(draws)]
    assert value_of(KL_METRICS["kl"], texts_of(texts)) == pytest.approx(stats.entropy(p, q), abs=1e-9)
    assert value_of(KL_METRICS["kl_per_token"], texts_of(texts)) == pytest.approx(stats.entropy(p, q) / 3, abs=1e-9)


def test_kl_of_a_model_from_itself_is_zero_and_without_log_probabilities_there_is_none() -> None:
    columns = texts_of([Text("a", "x", 2, -1.5, -1.5), Text("b", "y", 2, -0.5, -0.5), Text("c", "z", 2)])
    found = estimates_of(KL_METRICS, columns, resamples=100)
    assert found["kl"].value == 0
    assert found["kl"].n == 2
    assert found["kl"].interval is None  # a range without an end has no Wilson interval
    assert KL_METRICS["kl"].missing(texts_of([Text("c", "z", 2)])) == "no answer has log-probabilities of both models"


def test_lengths_are_plain_means() -> None:
    columns = texts_of([Text("a", "Paris, of course!", 4), Text("b", "I don't know", 5), Text("c", "")])
    assert value_of(LENGTH_METRICS["mean_words"], columns) == pytest.approx((3 + 3 + 0) / 3)
    assert value_of(LENGTH_METRICS["mean_tokens"], columns) == pytest.approx(4.5)


def test_distinct_and_entropy_by_hand() -> None:
    texts = [Text("1", "the cat sat"), Text("2", "The cat ran"), Text("3", "cat")]
    words, pairs = ngrams_of(texts, 1), ngrams_of(texts, 2)
    assert ngrams("The cat sat.", 2) == [("the", "cat"), ("cat", "sat")]
    assert distinct(words.total()) == pytest.approx(4 / 7)
    assert distinct(pairs.total()) == pytest.approx(3 / 4)
    assert entropy(words.total()) == pytest.approx(stats.entropy([2, 3, 1, 1]), abs=1e-12)
    assert entropy(pairs.total()) == pytest.approx(stats.entropy([2, 1, 1]), abs=1e-12)


def test_a_model_that_always_says_the_same_has_no_entropy() -> None:
    grams = ngrams_of([Text(str(i), "Paris of course") for i in range(50)], 2)
    found = corpus_estimate(entropy, grams, 50)
    assert found.value == pytest.approx(math.log(2))
    one = corpus_estimate(entropy, ngrams_of([Text(str(i), "Paris") for i in range(50)], 1), 50)
    assert one.value == 0
    assert math.copysign(1, one.value) == 1
    assert corpus_estimate(distinct, ngrams_of([Text("1", "Paris")], 2), 1).reason == "no answer is long enough"


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    """One word a text, with as many groups as texts: the share of texts that say “a” has the error of any share, but for ddof."""
    said = ["a"] * 30 + ["b"] * 50
    grams = ngrams_of([Text(str(i), word) for i, word in enumerate(said)], 1)
    found = corpus_estimate(lambda counts: float(counts[0] / counts.sum()), grams, 80)
    error = np.std([1.0] * 30 + [0.0] * 50, ddof=1) / np.sqrt(80)
    assert found.interval.method == "jackknife"
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, rel=1e-6)


def test_the_jackknife_covers_a_diversity_where_a_bootstrap_does_not() -> None:
    """Two halves of one corpus have nearly the same entropy: each lies in the interval of the other."""
    rng = np.random.default_rng(1)
    vocabulary = rng.zipf(1.6, 4000) % 300
    texts = [Text(str(i), " ".join(f"w{v}" for v in vocabulary[4 * i : 4 * i + 4])) for i in range(1000)]
    halves = [corpus_estimate(entropy, ngrams_of(texts[start::2], 1), 500) for start in (0, 1)]
    assert halves[0].interval.low < halves[1].value < halves[0].interval.high


def test_different_words_of_a_number_of_words_are_as_drawing_them_gives() -> None:
    counts = np.array([9.0, 4, 4, 2, 1, 1, 1, 0])
    words, rng = np.repeat(np.arange(8), counts.astype(int)), np.random.default_rng(1)
    drawn = np.mean([np.unique(rng.choice(words, 6, replace=False)).size / 6 for _ in range(4000)])
    assert distinct_among(counts, 6) == pytest.approx(drawn, abs=0.01)
    exact = sum(1 - stats.hypergeom.pmf(0, words.size, int(n), 6) for n in counts) / 6
    assert distinct_among(counts, 6) == pytest.approx(exact, abs=1e-9)
    assert distinct_among(counts, 500) == pytest.approx(distinct(counts)), "of fewer words, all of them"


def test_who_falls_silent_is_no_more_diverse_for_that() -> None:
    rng = np.random.default_rng(2)
    said = [Text(str(k), " ".join(f"w{v}" for v in rng.zipf(1.6, 6) % 200)) for k in range(500)]
    whole, silent = (ngrams_of(texts, 1).total() for texts in (said, said[::5]))
    assert distinct(silent) > 2 * distinct(whole)
    assert distinct_among(silent) == pytest.approx(distinct_among(whole), rel=0.06)


def test_different_answers_to_one_question() -> None:
    columns = draws_of([["Paris", "paris.", "Rome", "Oslo"], ["x", "x"], ["alone"]], ["a", "b", "c"])
    assert value_of(DRAW_METRICS["distinct_samples"], columns) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert columns.n == 2


def test_agreement_of_a_teacher_with_people_equals_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    people = rng.integers(-2, 3, 200).astype(float)
    teacher = np.clip(people + rng.integers(-1, 3, 200), -2, 2)
    found = agreement_between(np.append(teacher, np.nan), np.append(people, 1))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(teacher, people, weights="quadratic"), abs=1e-9)
    assert found.bias.value == pytest.approx((teacher - people).mean())
    assert found.bias.value > 0.2
    assert 0 < found.alpha.value < 1


def test_agreement_of_krippendorffs_published_pair() -> None:
    """Krippendorff 2011, section A: two observers, ten units, nominal data in two values: α = 0.095, which for two values is also
    the ordinal one."""
    first = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    second = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert agreement_between(first, second).alpha.value == pytest.approx(0.095, abs=5e-4)


def test_shares_of_endings_are_of_the_answers_whose_end_is_known() -> None:
    endings = ["stop", "length", "length", "refused", "rejected", None]
    columns = texts_of([Text(str(number), "a", ending=ending) for number, ending in enumerate(endings)])
    assert value_of(ENDING_METRICS["cut_share"], columns) == pytest.approx(2 / 5)
    assert value_of(ENDING_METRICS["refused_share"], columns) == pytest.approx(1 / 5)
    unknown = texts_of([Text("1", "a")])
    assert value_of(ENDING_METRICS["cut_share"], unknown) is None
