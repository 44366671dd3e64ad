"""A teacher's orders against people's: by hand, by an independent reckoning, and where nothing can be said."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau

from annotations.statistics.pairwise import NO_BOTH, NO_TWO_PEOPLE, ONE_PROMPT, Prompt, pairwise_quality


def test_a_worked_example() -> None:
    """Two people on three answers: both put 1 before 2 and 1 before 3; of 2 and 3 they say the opposite, so none is right."""
    people = {"ann": {1: 1, 2: 2, 3: 3}, "ben": {1: 1, 2: 3, 3: 2}}
    found = pairwise_quality([Prompt({1: 1, 2: 1, 3: 2}, people)], consistent=2, asked_twice=3)
    assert (found.agreement.value, found.agreement.n, found.agreement.reason) == (0.75, 2, ONE_PROMPT)
    assert (found.ties.value, found.prompts) == (0.5, 1)
    assert found.people.value == pytest.approx(2 / 3) and found.people.n == 6
    # People's order has 2 and 3 tied: τ-b of (1, 1, 2) and (1, 2, 2) is 1 / sqrt(2 * 2).
    assert found.tau.value == pytest.approx(0.5)
    assert found.consistent.value == pytest.approx(2 / 3) and found.consistent.interval
    assert found.consistent.interval.low < 2 / 3 < found.consistent.interval.high


def test_against_an_independent_reckoning_with_intervals_that_hold_the_value() -> None:
    rng = np.random.default_rng(5)
    prompts, right, of, taus = [], 0.0, 0, []
    for number in range(40):
        truth = rng.permutation(4)
        noisy = [truth + rng.normal(0, 1.2, 4) for _ in range(4)]
        items = [10 * number + place for place in range(4)]
        orders = [dict(zip(items, (one.argsort().argsort() + 1).tolist(), strict=True)) for one in noisy]
        teacher, *people = orders
        prompts.append(Prompt(teacher, dict(enumerate(people))))
        beaten = dict.fromkeys(items, 0)
        for one, other in combinations(items, 2):
            for_one = sum(order[one] < order[other] for order in people)
            better = one if for_one > 1.5 else other
            beaten[better] += 1
            beaten[one if better == other else other] -= 1
            of += 1
            right += (teacher[one] < teacher[other]) == (better == one)
        taus.append(kendalltau([-teacher[one] for one in items], [beaten[one] for one in items]).statistic)
    found = pairwise_quality(prompts, consistent=0, asked_twice=0)
    assert found.agreement.value == pytest.approx(right / of) and found.agreement.n == of == 240
    assert found.tau.value == pytest.approx(np.nanmean(taus))
    for figure in (found.agreement, found.tau, found.people):
        assert figure.value is not None and figure.interval is not None
        assert figure.interval.low < figure.value < figure.interval.high and figure.interval.method == "bootstrap"
    assert found.consistent.value is None and found.consistent.reason


def test_perfect_reversed_and_silent_teachers() -> None:
    order, back = {1: 1, 2: 2, 3: 3}, {1: 3, 2: 2, 3: 1}
    same = [Prompt(order, {"ann": order}) for _ in range(3)]
    assert pairwise_quality(same, consistent=0, asked_twice=0).agreement.value == 1
    assert pairwise_quality(same, consistent=0, asked_twice=0).people.reason == NO_TWO_PEOPLE
    turned = pairwise_quality([Prompt(back, {"ann": order})] * 2, consistent=0, asked_twice=0)
    assert (turned.agreement.value, turned.tau.value) == (0, -1)
    tied = pairwise_quality([Prompt(dict.fromkeys(order, 1), {"ann": order})] * 2, consistent=3, asked_twice=3)
    assert (tied.agreement.value, tied.ties.value, tied.tau.value, tied.consistent.value) == (0.5, 1, None, 1)
    nothing = pairwise_quality([Prompt(order, {}), Prompt(None, {"ann": order})], consistent=0, asked_twice=0)
    assert (nothing.agreement.value, nothing.agreement.reason, nothing.prompts) == (None, NO_BOTH, 0)
    with pytest.raises(ValueError, match="no pair more"):
        pairwise_quality([], consistent=2, asked_twice=1)
