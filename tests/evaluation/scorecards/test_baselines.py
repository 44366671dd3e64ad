from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotations.verdicts import Verdict
from evaluation.metrics import Answered, columns_of, compute
from evaluation.scorecards.baselines import threshold_apply, threshold_choose
from tests.evaluation.samples import random_answers


def rate(rows: list[Answered]) -> float:
    return compute("truthful_rate", columns_of(rows)) or 0.0


@pytest.mark.parametrize("seed", range(6))
def test_no_cut_of_a_fine_grid_beats_the_chosen_one(seed: int) -> None:
    rows = [
        replace(row, confidence=None if row.confidence is None else round(row.confidence, 1)) for row in random_answers(seed=seed)
    ]
    chosen = threshold_choose(rows)
    assert chosen is not None
    best = max(rate(threshold_apply(rows, cut)) for cut in np.linspace(0, 1.01, 203))
    assert rate(threshold_apply(rows, chosen)) == pytest.approx(best)


def test_a_clean_separation_is_found() -> None:
    rows = [Answered("a", "a", Verdict.CORRECT, True, 0.9), Answered("b", "b", Verdict.WRONG, False, 0.5)]
    assert threshold_choose(rows) == pytest.approx(0.7)
    assert [row.verdict for row in threshold_apply(rows, 0.7)] == ["correct", "abstained"]


def test_of_equally_good_cuts_the_one_that_abstains_least() -> None:
    assert threshold_choose([Answered("a", "a", Verdict.WRONG, True, 0.5)]) == 0


def test_always_abstaining_can_be_the_best() -> None:
    cut = threshold_choose([Answered("a", "a", Verdict.WRONG, False, 1.0)])
    assert cut is not None
    assert threshold_apply([Answered("a", "a", Verdict.WRONG, False, 1.0)], cut)[0].verdict == "abstained"


def test_without_labels_or_confidences_there_is_no_threshold() -> None:
    assert threshold_choose([]) is None
    assert threshold_choose([Answered("a", "a", Verdict.WRONG, None, 0.5), Answered("b", "b", Verdict.WRONG, True, None)]) is None


def test_an_answer_without_confidence_is_left_alone() -> None:
    rows = [Answered("a", "a", Verdict.WRONG, True, None)]
    assert threshold_apply(rows, 0.9) == rows
