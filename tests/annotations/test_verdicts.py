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


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("5,000", "5", False),
        ("1.5 million", "5", False),
        ("3.5", "3", False),
        ("It is 3.14", "14", False),
        ("It was 1,914 metres", "914", False),
        ("-5", "5", False),
        ("It is minus 5 degrees.", "5", False),
        ("$1,200", "200", False),
        ("5 million", "5", False),
        ("The bell rings at 10:30", "10", False),
        ("About 1/2 of it", "2", False),
        ("1.2bn", "1", False),
        ("120000", "120,000", True),
        ("It has 120 000 people.", "120,000", True),
        ("1.5 million", "1,500,000", True),
        ("2,5 milhões", "2.5 million", True),
        ("It cost $1,200.", "1200", True),
        ("5.0", "5", True),
        ("0.50", ".5", True),
        ("½", "1/2", True),
        ("−5 °C", "-5", True),
        ("It is 5.", "5", True),
        ("5, 6, or 7", "6", True),
        ("From 1914 to 1918", "1918", True),
        ("1914–1918", "1914", True),
        ("28.06.1914", "1914", True),
        ("On 28 June, 1914", "28 June 1914", True),
        ("2014-06-28", "2014", True),
        ("It won 3-1.", "3–1", True),
        ("It is not 5 but 6", "5", False),
    ],
)
def test_a_number_is_compared_whole_and_in_any_writing(answer: str, gold: str, right: bool) -> None:
    assert (judge(answer, gold) is Verdict.CORRECT) is right


def test_normalising_keeps_letters_of_any_script() -> None:
    assert normalise("«Ｚürich» — Цюрих!") == "zürich цюрих"
