"""What the guard says of answers whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from evaluation.guard.items import TITLES, guard_set
from evaluation.guard.scoring import is_right
from evaluation.guard.trials import Given, Outcome, Trial, chance_of
from evaluation.guard.verdict import GuardReport, guard_report
from evaluation.scorecards.parts import Sampling

FEW = Sampling(resamples=400, permutations=999)
SILENCE = "I do not know."


def answers(seed: int, *, right: float | Mapping[str, float], say: str = "something else") -> list[str]:
    """Answers of which that share is right, by task type or in all."""
    rng = np.random.default_rng(seed)
    shares = [right if isinstance(right, float) else right.get(item.type, 1.0) for item in guard_set().items]
    return [item.gold if rng.random() < share else say for item, share in zip(guard_set().items, shares, strict=True)]


def report(after: list[str], before: list[str] | None, *, cut: Set[int] = frozenset()) -> GuardReport:
    """`cut`: the places of the model's answers that ended for their length."""
    given = [Given(one, cut=place in cut) for place, one in enumerate(after)]
    return guard_report(guard_set(), given, before and [Given(one) for one in before], sampling=FEW)


def states(found: GuardReport) -> dict[str, str]:
    return {name: one.state for name, one in found.types.items()}


def test_a_model_that_does_all_its_base_does_has_kept_it() -> None:
    base = answers(1, right=0.9)
    found = report(list(base), base)
    assert found.passed is True and found.tone == "ok"
    assert set(states(found).values()) == {"kept"}
    assert found.overall is not None and found.overall.difference is not None
    assert found.overall.difference.value == 0 and found.overall.margin == 0.05


def test_a_model_that_fell_silent_got_useless() -> None:
    found = report(answers(2, right=0.05, say=SILENCE), answers(1, right=0.95))
    assert found.passed is False and found.tone == "error"
    assert set(states(found).values()) == {"lost"}
    assert "useless" in found.text and "declines" in found.text
    assert all(len(one.samples) == 3 and one.samples[0].after == SILENCE for one in found.types.values())


def test_an_ability_that_is_lost_is_named_and_others_are_not() -> None:
    found = report(answers(2, right={"arithmetic": 0.3}), answers(1, right=1.0))
    assert found.passed is False
    assert [name for name, state in states(found).items() if state == "lost"] == ["arithmetic"]
    assert "arithmetic 100%" in found.text and "ordering" not in found.text


def test_of_many_lost_abilities_their_number_is_said() -> None:
    """And the order of types survives PostgreSQL, which keeps none."""
    found = report(answers(2, right=0.1), answers(1, right=1.0))
    assert "8 of 8 task types" in found.text and "useless" not in found.text
    stored = found.model_dump(mode="json")
    stored["types"] = dict(sorted(stored["types"].items()))
    assert list(GuardReport.model_validate(stored).types) == list(found.types) != sorted(found.types)


def test_what_the_base_cannot_do_cannot_be_lost() -> None:
    """Neither at nothing nor at the level of guessing."""
    weak = {"arithmetic": 0.02, "classification": 0.0}
    base = answers(1, right=weak)
    rng = np.random.default_rng(3)
    guessed = [
        str(rng.choice(item.options)) if item.type == "classification" else said
        for item, said in zip(guard_set().items, base, strict=True)
    ]
    found = report(answers(2, right=1.0), guessed)
    assert states(found) | {"arithmetic": "unable", "classification": "unable"} == states(found)
    assert found.types["arithmetic"].difference is None
    assert found.passed is True and "arithmetic and sorting into classes nothing can be said" in found.text

    nothing = report(answers(2, right=1.0), answers(1, right=0.0))
    assert nothing.passed is None and nothing.overall is None
    assert "Cannot tell" in nothing.text and nothing.tone == "warn"


def test_a_small_loss_that_can_neither_be_shown_nor_ruled_out_is_called_so() -> None:
    base = answers(1, right=1.0)
    after = list(base)
    places = [i for i, item in enumerate(guard_set().items) if item.type == "ordering"][:6]
    for place in places:
        after[place] = "7"
    found = report(after, base)
    assert states(found)["ordering"] == "unclear"
    assert found.passed is None and "not shown for putting in order" in found.text


def test_without_a_base_it_says_what_the_model_can_do_and_no_more() -> None:
    found = report(answers(1, right=1.0), None)
    assert (found.passed, found.tone, found.overall) == (None, "info", None)
    assert "100%" in found.text and "no model to compare" in found.text


def test_the_tests_are_mcnemars_and_holms_as_others_compute_them() -> None:
    before, after = answers(1, right=0.8), answers(2, right=0.6)
    found = report(after, before)
    tested = [one for one in found.types.values() if one.difference is not None]
    for name in ("copying", "ordering"):
        items = [(i, item) for i, item in enumerate(guard_set().items) if item.type == name]
        was = np.array([is_right(item, before[i]) for i, item in items])
        now = np.array([is_right(item, after[i]) for i, item in items])
        lost, gained = int((was & ~now).sum()), int((~was & now).sum())
        difference = found.types[name].difference
        assert difference is not None and difference.test == "mcnemar"
        assert difference.value == pytest.approx((gained - lost) / 50, abs=1e-6)
        assert difference.p == pytest.approx(binomtest(lost, lost + gained).pvalue, abs=1e-6)
    differences = [one.difference for one in (*tested, found.overall) if one and one.difference]
    adjusted = multipletests([one.p for one in differences], method="holm")[1]
    assert [one.p_adjusted for one in differences] == pytest.approx(list(adjusted), abs=2e-6)


def test_questions_on_one_passage_are_tested_together() -> None:
    found = report(answers(2, right=0.6), answers(1, right=0.9))
    reading = found.types["reading"]
    assert reading.model.entities == 25 and reading.n == 50
    assert reading.difference is not None and reading.difference.test == "permutation"


def test_chance_is_that_of_the_better_guess() -> None:
    def trial(gold: str, options: int = 0) -> Trial:
        return Trial("x", "x", "?", gold, options, Outcome("", right=False))

    assert chance_of([trial("a", 2), trial("b", 2)]) == 0.5
    assert chance_of([trial("a", 2), trial("a", 2), trial("b", 2)]) == pytest.approx(2 / 3)
    assert chance_of([trial("4"), trial("5"), trial("5"), trial("6")]) == 0.5


@pytest.mark.parametrize("able", [["copying"], ["copying", "format", "ordering"]])
def test_a_base_that_can_do_little_is_no_ground_for_a_pass(able: list[str]) -> None:
    base = answers(1, right={name: 1.0 if name in able else 0.0 for name in TITLES})
    found = report(list(base), base)
    assert (found.passed, found.tone) == (None, "warn")
    assert f"only {len(able)} of 8 task types could be tested" in found.text


def test_who_learnt_to_think_aloud_has_lost_nothing() -> None:
    base = answers(1, right=0.95)
    thinking = [f"<think>Let me see. It could be 7, or “no”.</think>\n\n{said}" for said in base]
    assert report(thinking, base).passed is True


def test_what_was_cut_off_while_thinking_can_be_told_neither_way() -> None:
    base = answers(1, right=1.0)
    places = {place for place in range(len(base)) if place % 2}
    after = ["<think>Let me see, and see again" if place in places else said for place, said in enumerate(base)]
    found = report(after, base, cut=places)
    assert (found.passed, found.tone) == (None, "warn")
    assert "50% of its answers were cut off for their length, 0% before" in found.text
    assert found.overall is not None and found.overall.declined == 0, "who still thinks declines nothing"
    assert report(after, base).passed is False, "the same text that ends there by itself is an answer, and a wrong one"
    babble = ["and so on and on" if place in places else said for place, said in enumerate(base)]
    assert report(babble, base, cut=places).passed is False, "what never comes near an answer is lost, however long it goes on"
