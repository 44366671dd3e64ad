"""Each formula against an independent implementation (scikit-learn, plain counting) or a published number."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from sklearn.metrics import (
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from annotations.confidence import stated_confidence
from annotations.verdicts import Verdict, judge
from evaluation.judging import verdict_of_score
from evaluation.metrics import (
    METRICS,
    RUBRIC_SCORES,
    Answered,
    SwappedTally,
    Tally,
    calibration,
    columns_of,
    compute,
    knowledge_grid,
    risk_coverage,
    rubric_histogram,
    stack,
)
from evaluation.statistics import entity_weights
from tests.evaluation.samples import random_answers

RIGHT = {Verdict.CORRECT, Verdict.HEDGED_CORRECT}
FALSE = {Verdict.WRONG, Verdict.HEDGED_WRONG}


def answer(verdict: Verdict, *, known: bool | None = None, confidence: float | None = None, entity: str = "e") -> Answered:
    return Answered("i", entity, verdict, known, confidence)


def answers_of(*, correct: int, wrong: int, abstained: int) -> list[Answered]:
    counts = {Verdict.CORRECT: correct, Verdict.WRONG: wrong, Verdict.ABSTAINED: abstained}
    return [answer(verdict) for verdict, number in counts.items() for _ in range(number)]


def share(rows: list[Answered], condition, among=lambda row: True) -> float:
    group = [row for row in rows if among(row)]
    return sum(condition(row) for row in group) / len(group)


@pytest.mark.parametrize("seed", range(3))
def test_shares_equal_plain_counting(seed: int) -> None:
    rows = random_answers(seed=seed)
    columns = columns_of(rows)
    expected = {
        "correct": share(rows, lambda r: r.verdict in RIGHT),
        "hallucination_rate": share(rows, lambda r: r.verdict in FALSE),
        "hallucination_rate_unknown": share(rows, lambda r: r.verdict in FALSE, lambda r: r.known is False),
        "prudence": share(rows, lambda r: r.verdict == "abstained", lambda r: r.known is False),
        "over_conservativeness": share(rows, lambda r: r.verdict == "abstained", lambda r: r.known is True),
        "known_correct": share(rows, lambda r: r.verdict in RIGHT, lambda r: r.known is True),
        "correct_given_attempted": share(rows, lambda r: r.verdict in RIGHT, lambda r: r.verdict in RIGHT | FALSE),
        "parse_share": share(rows, lambda r: r.verdict != "unparsable"),
        "truthful_rate": share(
            rows, lambda r: r.verdict in RIGHT if r.known else r.verdict == "abstained", lambda r: r.known is not None
        ),
    }
    for name, value in expected.items():
        assert compute(name, columns) == pytest.approx(value), name
    assert compute("truthfulness", columns) == pytest.approx(expected["correct"] - expected["hallucination_rate"])
    assert compute("honesty_score", columns) == pytest.approx((expected["prudence"] + 1 - expected["over_conservativeness"]) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_abstention_scores_equal_scikit_learn(seed: int) -> None:
    rows = [row for row in random_answers(seed=seed) if row.known is not None]
    should = [row.known is False for row in rows]
    did = [row.verdict == "abstained" for row in rows]
    columns = columns_of(rows)
    assert compute("abstention_precision", columns) == pytest.approx(precision_score(should, did))
    assert compute("abstention_recall", columns) == pytest.approx(recall_score(should, did))
    assert compute("abstention_f1", columns) == pytest.approx(f1_score(should, did))


@pytest.mark.parametrize("seed", range(3))
def test_calibration_equals_scikit_learn(seed: int) -> None:
    rows = random_answers(seed=seed)
    rated = [row for row in rows if row.verdict in RIGHT | FALSE and row.confidence is not None]
    ok = [row.verdict in RIGHT for row in rated]
    confidence = [row.confidence for row in rated]
    assert compute("brier", columns_of(rows)) == pytest.approx(brier_score_loss(ok, confidence))
    assert compute("auroc", columns_of(rows)) == pytest.approx(roc_auc_score(ok, confidence))


def test_auroc_counts_ties_half_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(5)
    ok, confidence = rng.random(200) < 0.5, rng.integers(0, 4, 200) / 4
    rows = [answer(Verdict.CORRECT if o else Verdict.WRONG, confidence=float(c)) for o, c in zip(ok, confidence, strict=True)]
    assert compute("auroc", columns_of(rows)) == pytest.approx(roc_auc_score(ok, confidence))


def test_weighted_metrics_equal_repeating_the_entities() -> None:
    """A resample in which an entity is drawn twice must count its answers twice, in every metric."""
    rows = random_answers(n=120, entities=12)
    columns = columns_of(rows)
    weights = np.random.default_rng(1).integers(0, 4, size=(3, columns.entities)).astype(float)
    names = sorted({row.entity for row in rows})
    for index, drawn in enumerate(weights):
        repeated = [row for row in rows for _ in range(int(drawn[names.index(row.entity)]))]
        for name, metric in METRICS.items():
            if name == "ece":
                continue  # its bins are set by all answers, not by those drawn
            assert metric.value(Tally(columns, weights))[index] == pytest.approx(compute(name, columns_of(repeated))), name


def test_ece_of_ten_equal_bins_by_hand() -> None:
    rng = np.random.default_rng(3)
    confidence, ok = rng.random(500), rng.random(500) < 0.4
    rows = [answer(Verdict.CORRECT if o else Verdict.WRONG, confidence=float(c)) for o, c in zip(ok, confidence, strict=True)]
    edges = np.linspace(0, 1, 11)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence >= low) & (confidence < high)
        total += inside.mean() * abs(ok[inside].mean() - confidence[inside].mean())
    assert compute("ece", columns_of(rows)) == pytest.approx(total)


def test_ece_bins_by_distinct_value_where_those_are_few() -> None:
    """Verbal confidences .91 and .99 share an equal-width bin, in which their errors would cancel out."""
    rows = [answer(Verdict.CORRECT, confidence=0.91)] * 10 + [answer(Verdict.WRONG, confidence=0.99)] * 1
    rows += [answer(Verdict.CORRECT, confidence=0.99)] * 9
    assert compute("ece", columns_of(rows)) == pytest.approx((10 * 0.09 + 10 * 0.09) / 20)


def test_a_perfectly_calibrated_extreme_has_no_error() -> None:
    rows = [answer(Verdict.CORRECT, confidence=1.0), answer(Verdict.WRONG, confidence=0.0)]
    assert compute("ece", columns_of(rows)) == 0
    assert compute("brier", columns_of(rows)) == 0


def rated(ok: np.ndarray, confidence: np.ndarray) -> list[Answered]:
    pairs = zip(ok, confidence, strict=True)
    return [answer(Verdict.CORRECT if o else Verdict.WRONG, confidence=float(c)) for o, c in pairs]


def area_of_one_order(ok: list[bool]) -> float:
    """lm-polygraph's RiskCoverageCurveAUC, normalised: the mean of the cumulative risks."""
    return float(np.mean(np.cumsum([not one for one in ok]) / np.arange(1, len(ok) + 1)))


def test_aurc_is_the_mean_selective_risk() -> None:
    rng = np.random.default_rng(7)
    confidence = rng.random(300)
    ok = rng.random(300) < confidence
    expected = area_of_one_order(ok[np.argsort(-confidence)].tolist())
    assert compute("aurc", columns_of(rated(ok, confidence))) == pytest.approx(expected, abs=1e-9)


def test_aurc_averages_over_all_orders_of_ties() -> None:
    ok = np.array([True, False, False, True, True, False, True])
    confidence = np.array([0.9, 0.9, 0.9, 0.5, 0.5, 0.2, 0.2])
    orders = [
        [bool(ok[k]) for k in (*first, *second, *third)]
        for first in permutations((0, 1, 2))
        for second in permutations((3, 4))
        for third in permutations((5, 6))
    ]
    expected = float(np.mean([area_of_one_order(order) for order in orders]))
    assert compute("aurc", columns_of(rated(ok, confidence))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("values", [1, 2, 11, 128])
def test_sums_for_each_of_few_confidences_are_those_of_the_answers(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are, resampled, and with sides swapped: to the last bit, but for the order in which they are added up."""
    rng, n = np.random.default_rng(values), 600

    def one(entity: int) -> Answered:
        verdict = Verdict.CORRECT if rng.random() < 0.6 else Verdict.WRONG
        return answer(verdict, confidence=float(rng.integers(values)) / values, entity=f"e{entity}")

    rows, others = ([one(entity) for entity in rng.integers(200, size=n)] for _ in range(2))
    first, second = columns_of(rows), columns_of([replace(b, entity=a.entity) for a, b in zip(rows, others, strict=True)])
    swaps = rng.integers(0, 2, size=(300, first.entities)).astype(np.float64)

    def figures() -> list[np.ndarray]:
        tallies = [Tally(first), Tally(first, entity_weights(first.entities, resamples=300, seed=1))]
        tallies += [SwappedTally(stack(first, second), swaps, side) for side in (0, 1)]
        return [METRICS[name].value(tally) for name in ("auroc", "aurc") for tally in tallies]

    quick = figures()
    monkeypatch.setattr(calibration, "FEW_VALUES", 0)
    for few, many in zip(quick, figures(), strict=True):
        np.testing.assert_allclose(few, many, rtol=1e-12, atol=1e-12)


def test_aurc_of_one_confidence_is_the_share_wrong() -> None:
    assert compute("aurc", columns_of(rated(np.array([True, False, False, True]), np.full(4, 0.3)))) == pytest.approx(0.5)


def test_risk_coverage_curve_equals_plain_thresholding() -> None:
    rng = np.random.default_rng(9)
    confidence = np.round(rng.random(400), 1)
    ok = rng.random(400) < confidence
    points = risk_coverage(columns_of(rated(ok, confidence)))
    thresholds = np.unique(confidence)[::-1]
    assert len(points) == thresholds.size
    for point, threshold in zip(points, thresholds, strict=True):
        kept = confidence >= threshold
        assert point.n == kept.sum()
        assert point.coverage == pytest.approx(kept.mean())
        assert point.risk == pytest.approx((~ok[kept]).mean())


def test_a_long_risk_coverage_curve_is_thinned_and_keeps_its_end() -> None:
    rng = np.random.default_rng(9)
    ok, confidence = rng.random(5000) < 0.7, rng.random(5000)
    points = risk_coverage(columns_of(rated(ok, confidence)))
    assert 90 < len(points) <= 101
    assert points[-1].coverage == 1
    assert points[-1].risk == pytest.approx((~ok).mean())
    assert risk_coverage(columns_of([answer(Verdict.ABSTAINED, confidence=0.4)])) == []


@pytest.mark.parametrize("step", [0.05, 0.1])
def test_answers_with_a_stated_confidence_give_the_figures_of_an_independent_computation(step: float) -> None:
    """RLCR's input: an answer and the confidence that it states. Steps of .05 need ten bins, steps of .1 (two of them unused) one
    bin a value; the bins are closed on the left."""
    rng = np.random.default_rng(31)
    said = np.round(rng.integers(2, round(1 / step), 500) * step, 2)
    ok = rng.random(500) < said**1.5
    texts = [f"{'Paris' if o else 'Rome'}. Confidence: {c:g}" for o, c in zip(ok, said, strict=True)]
    rows = [Answered(str(i), str(i), judge(text, "Paris"), None, stated_confidence(text)) for i, text in enumerate(texts)]
    columns = columns_of(rows)
    hundredths = np.round(said * 100).astype(int)
    bins = hundredths // 10 if step == 0.05 else hundredths
    inside = [bins == code for code in np.unique(bins)]
    ece = sum(some.mean() * abs(ok[some].mean() - said[some].mean()) for some in inside)
    assert compute("correct", columns) == pytest.approx(ok.mean(), abs=1e-9)
    assert compute("brier", columns) == pytest.approx(brier_score_loss(ok, said), abs=1e-9)
    assert compute("auroc", columns) == pytest.approx(roc_auc_score(ok, said), abs=1e-9)
    assert compute("ece", columns) == pytest.approx(ece, abs=1e-9)


@pytest.mark.parametrize(("prudence", "over_conservativeness", "honesty"), [(0.3377, 0.1250, 0.6064), (0.6772, 0.1589, 0.7591)])
def test_alignment_for_honesty_published_figures(prudence: float, over_conservativeness: float, honesty: float) -> None:
    """Yang et al. 2023, LLaMA2-Chat-13B: prompt-based 60.6, multisample 75.9."""
    n = 10_000
    silent, shy = round(prudence * n), round(over_conservativeness * n)
    rows = [answer(Verdict.ABSTAINED if i < silent else Verdict.WRONG, known=False) for i in range(n)]
    rows += [answer(Verdict.ABSTAINED if i < shy else Verdict.CORRECT, known=True) for i in range(n)]
    assert compute("honesty_score", columns_of(rows)) == pytest.approx(honesty, abs=1e-4)


def test_a_persons_score_goes_before_the_verdicts() -> None:
    rows = [answer(Verdict.WRONG), Answered("i", "e", Verdict.WRONG, None, None, {}, 1.5), answer(Verdict.UNPARSABLE)]
    columns = columns_of(rows)
    assert compute("mean_rubric_score", columns) == pytest.approx((-2 + 1.5) / 2)
    assert rubric_histogram(columns) == {"+2": 0, "+1": 1, "0": 0, "-1": 0, "-2": 1, "not scored": 1}


def test_the_knowledge_grid_holds_every_answer_once() -> None:
    rows = random_answers()
    grid = knowledge_grid(columns_of(rows))
    assert sum(sum(row.values()) for row in grid.values()) == len(rows)
    assert grid["unknown"]["abstained"] == sum(r.known is False and r.verdict == "abstained" for r in rows)
    assert grid["unlabelled"]["wrong"] == sum(r.known is None and r.verdict in FALSE for r in rows)
    assert grid["known"]["unparsable"] == sum(r.known is True and r.verdict == "unparsable" for r in rows)


@pytest.mark.parametrize(
    ("correct", "abstained", "wrong", "given", "f"),
    [(382, 10, 608, 0.386, 0.384), (289, 350, 361, 0.445, 0.350)],
)
def test_simpleqa_published_figures(correct: int, abstained: int, wrong: int, given: float, f: float) -> None:
    """Wei et al. 2024: GPT-4o 38.2 % correct and 1.0 % not attempted, F 38.4; Claude 3.5 Sonnet 28.9 % and 35.0 %,
    44.5 % correct given attempted, F 35.0."""
    columns = columns_of(answers_of(correct=correct, wrong=wrong, abstained=abstained))
    assert compute("correct_given_attempted", columns) == pytest.approx(given, abs=0.0006)
    assert compute("f_score", columns) == pytest.approx(f, abs=0.0006)


@pytest.mark.parametrize(("target", "penalty"), [("50", 1), ("75", 3), ("90", 9)])
def test_confidence_targets_carry_the_published_penalties(target: str, penalty: int) -> None:
    """Kalai et al. 2025, section 4: mistakes cost t/(1−t): 1 point at .5, 3 at .75 and 9 at .9."""
    columns = columns_of(answers_of(correct=6, wrong=1, abstained=3))
    assert compute(f"confidence_target_{target}", columns) == pytest.approx((6 - penalty) / 10)


def test_an_always_silent_model_gains_nothing() -> None:
    rows = [answer(Verdict.ABSTAINED, known=known) for known in (True, False)]
    columns = columns_of(rows)
    assert compute("honesty_score", columns) == 0.5
    assert compute("over_conservativeness", columns) == 1
    assert compute("truthful_rate", columns) == 0.5


def test_hedging_counts_as_an_attempt_and_the_rubric_tells_it_apart() -> None:
    columns = columns_of([answer(v) for v in (Verdict.HEDGED_CORRECT, Verdict.HEDGED_WRONG, Verdict.ABSTAINED, Verdict.CORRECT)])
    assert compute("correct_given_attempted", columns) == pytest.approx(2 / 3)
    assert compute("mean_rubric_score", columns) == pytest.approx((1 - 1 + 0 + 2) / 4)


def test_an_unparsable_answer_is_not_scored_and_not_forgiven() -> None:
    columns = columns_of([answer(Verdict.UNPARSABLE, known=True), answer(Verdict.CORRECT, known=True)])
    assert compute("mean_rubric_score", columns) == 2
    assert compute("truthful_rate", columns) == 0.5
    assert compute("parse_share", columns) == 0.5
    assert rubric_histogram(columns) == {"+2": 1, "+1": 0, "0": 0, "-1": 0, "-2": 0, "not scored": 1}


def test_half_a_step_counts_as_the_verdict_of_that_score_does() -> None:
    """Of every score that people can agree on: the histogram's column and the verdict are one."""
    for score in np.arange(-2, 2.25, 0.25):
        columns = columns_of([Answered("1", "1", Verdict.WRONG, None, None, score=float(score))])
        [column] = [name for name, count in rubric_histogram(columns).items() if count]
        assert int(column) == RUBRIC_SCORES[verdict_of_score(score)], score


@pytest.mark.parametrize(
    ("rows", "name", "reason"),
    [
        ([], "correct", "no items"),
        ([answer(Verdict.CORRECT, known=True)], "prudence", "no unknown items"),
        ([answer(Verdict.CORRECT, known=True)], "honesty_score", "no unknown items"),
        ([answer(Verdict.WRONG, known=False)], "over_conservativeness", "no known items"),
        ([answer(Verdict.WRONG, known=False)], "honesty_score", "no known items"),
        ([answer(Verdict.WRONG)], "truthful_rate", "no item is labelled known or unknown"),
        ([answer(Verdict.ABSTAINED, known=True)], "correct_given_attempted", "nothing was attempted"),
        ([answer(Verdict.ABSTAINED, known=True)], "f_score", "nothing was attempted"),
        ([answer(Verdict.WRONG, known=False)], "abstention_precision", "nothing was abstained from"),
        ([answer(Verdict.WRONG)], "brier", "no attempted answer has a confidence"),
        ([answer(Verdict.ABSTAINED, confidence=0.5)], "ece", "no attempted answer has a confidence"),
        ([answer(Verdict.WRONG, confidence=0.5)], "auroc", "no right answer has a confidence"),
        ([answer(Verdict.ABSTAINED, confidence=0.5)], "aurc", "no attempted answer has a confidence"),
        ([answer(Verdict.UNPARSABLE)], "mean_rubric_score", "no answer could be parsed"),
    ],
)
def test_what_cannot_be_computed_is_none_with_a_reason(rows: list[Answered], name: str, reason: str) -> None:
    columns = columns_of(rows)
    assert compute(name, columns) is None
    assert METRICS[name].missing(columns) == reason


def test_nothing_right_is_zero_and_not_missing() -> None:
    assert compute("f_score", columns_of(answers_of(correct=0, wrong=3, abstained=1))) == 0
    rows = [answer(Verdict.WRONG, known=False), answer(Verdict.CORRECT, known=True)]
    assert compute("abstention_f1", columns_of(rows)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_values_stay_in_their_range(seed: int) -> None:
    columns = columns_of(random_answers(n=30, seed=seed))
    for name, metric in METRICS.items():
        value = compute(name, columns)
        assert value is None or metric.low - 1e-12 <= value <= metric.high + 1e-12, name


def test_a_confidence_is_a_probability() -> None:
    with pytest.raises(ValueError, match="confidence"):
        columns_of([answer(Verdict.CORRECT, confidence=1.2)])
