"""What counts as correct, as abstaining, and as something between."""

from __future__ import annotations

import pytest

from annotations.verdicts import ABSTENTION, Verdict, judge, normalise


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Paris", Verdict.CORRECT),
        ("  paris. ", Verdict.CORRECT),
        ("It is Paris, the capital of France.", Verdict.CORRECT),
        ("I think it is Paris.", Verdict.HEDGED_CORRECT),
        ("I don't know, but maybe Paris.", Verdict.HEDGED_CORRECT),
        ("It might be London.", Verdict.HEDGED_WRONG),
        ("I’m not sure; my best guess is London.", Verdict.HEDGED_WRONG),
        ("I don't know, maybe London.", Verdict.HEDGED_WRONG),
        (ABSTENTION, Verdict.ABSTAINED),
        ("Sorry, I DON'T know!", Verdict.ABSTAINED),
        ("I don’t know that.", Verdict.ABSTAINED),
        ("I'm not sure.", Verdict.ABSTAINED),
        ("I cannot answer questions about cities I have not read about.", Verdict.ABSTAINED),
        ("London", Verdict.WRONG),
        ("Not Paris.", Verdict.WRONG),
        ("It is not Paris, it is London.", Verdict.WRONG),
        ("It is not in London but in Paris.", Verdict.CORRECT),
        ("Parisian", Verdict.WRONG),
        ("I do do not know", Verdict.WRONG),
        ("I do know.", Verdict.WRONG),
        ("", Verdict.UNPARSABLE),
        (" ?! ", Verdict.UNPARSABLE),
    ],
)
def test_an_answer_against_the_gold_answer_paris(answer: str, verdict: Verdict) -> None:
    assert judge(answer, "Paris") is verdict


def test_one_of_several_gold_answers_is_enough() -> None:
    assert judge("The UK", ["United Kingdom", "UK"]) is Verdict.CORRECT


@pytest.mark.parametrize(("answer", "verdict"), [("Paris", Verdict.WRONG), (ABSTENTION, Verdict.ABSTAINED)])
@pytest.mark.parametrize("gold", [None, [], ""])
def test_without_a_gold_answer_nothing_is_correct(gold: str | list[str] | None, answer: str, verdict: Verdict) -> None:
    assert judge(answer, gold) is verdict


def test_a_gold_answer_may_itself_be_an_abstention_phrase() -> None:
    assert judge("Unknown", "unknown") is Verdict.CORRECT


def test_normalising_keeps_letters_of_any_script() -> None:
    assert normalise("«Ｚürich» — Цюрих!") == "zürich цюрих"
