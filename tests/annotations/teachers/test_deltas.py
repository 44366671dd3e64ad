"""Scores move to agree with people's preferences, by as little as possible."""

import numpy as np
import pytest
from scipy.optimize import minimize

from annotations.teachers.deltas import MARGIN, deltas


def test_scores_that_agree_already_stay():
    assert deltas({1: 2, 2: -1}, [(1, 2)]) == {1: 0, 2: 0}
    assert deltas({1: 2}, []) == {}


def test_two_that_disagree_meet_in_the_middle_with_the_margin_between():
    assert deltas({1: -1, 2: 1, 3: 0}, [(1, 2)]) == {1: 1.25, 2: -1.25}
    assert deltas({1: -1, 2: 1}, [(1, 2)], strength=0.5) == {1: 0.625, 2: -0.625}


@pytest.mark.parametrize("seed", range(6))
def test_they_are_the_nearest_scores_that_keep_every_order(seed):
    draw = np.random.default_rng(seed)
    scores = dict(enumerate(draw.choice([-2, -1, 0, 1, 2], 6).astype(float)))
    order = draw.permutation(6)
    pairs = [(int(order[i]), int(order[j])) for i in range(6) for j in range(i + 1, 6) if draw.random() < 0.4]
    moved = deltas(scores, pairs, margin=0.3)
    found = np.array([scores[i] + moved.get(i, 0) for i in range(6)])
    start = np.array([scores[i] for i in range(6)])
    constraints = [{"type": "ineq", "fun": lambda x, b=b, w=w: x[b] - x[w] - 0.3} for b, w in pairs]
    nearest = minimize(lambda x: ((x - start) ** 2).sum(), start, constraints=constraints, bounds=[(-2, 2)] * 6, method="SLSQP")
    assert found == pytest.approx(nearest.x, abs=1e-4)


def test_at_the_end_of_the_scale_the_other_one_moves_more():
    moved = deltas({1: 2, 2: 2}, [(1, 2)])
    assert moved == {1: 0, 2: pytest.approx(-MARGIN)}


def test_preferences_that_contradict_each_other_end_in_between():
    moved = deltas({1: 1, 2: -1}, [(1, 2), (2, 1)])
    assert abs((1 + moved[1]) - (-1 + moved[2])) <= 2
    with pytest.raises(ValueError, match="strength"):
        deltas({1: 1, 2: 1}, [(1, 2)], strength=2)
