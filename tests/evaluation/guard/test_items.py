"""The guard's items are a versioned file, and each is answerable from its own words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evaluation.guard.items import HASHES, PATH, TITLES, VERSION, Item, guard_set
from evaluation.guard.making import PER_TYPE, items_bytes, make_items
from evaluation.guard.scoring import is_right, is_undecided


def test_the_items_are_those_that_their_seed_makes() -> None:
    assert items_bytes(make_items()) == PATH.read_bytes()
    assert guard_set().hash == HASHES[VERSION]


def test_there_are_enough_of_each_type() -> None:
    counts = Counter(item.type for item in guard_set().items)
    assert list(counts) == list(TITLES)
    assert set(counts.values()) == {PER_TYPE}
    assert len(counts) >= 5 and counts.total() >= 200
    assert len({item.prompt for item in guard_set().items}) == counts.total()
    assert len({item.id for item in guard_set().items}) == counts.total()


def test_other_items_under_the_same_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(PATH.read_bytes().replace(b"apple", b"acorn"))
    monkeypatch.setattr("evaluation.guard.items.PATH", path)
    with pytest.raises(ValueError, match="not version"):
        guard_set(path)


def test_each_gold_answer_is_right_and_no_other_items_is() -> None:
    for item in guard_set().items:
        assert is_right(item, item.gold) and is_right(item, f"{item.gold}\n")
        assert is_right(item, f"<think>I do not know. Perhaps 7?</think>\n{item.gold}")
        assert item.gold.isupper() or item.rule == "text" or is_right(item, item.gold.capitalize())
        assert not is_right(item, "") and not is_right(item, "I do not know.")
        for other in item.options:
            assert is_right(item, other) is (other == item.gold)


def test_what_is_read_stands_in_the_prompt() -> None:
    for item in guard_set().of_type("reading"):
        assert all(option in item.prompt for option in item.options)
        assert len({one.entity for one in guard_set().of_type("reading")}) == PER_TYPE / 2


def of(rule: str, gold: str, *options: str) -> Item:
    return Item.model_validate(
        {"id": "x", "type": "t", "rule": rule, "prompt": "?", "gold": gold, "entity": "x", "options": options}
    )


def test_a_capital_letter_is_no_lost_ability() -> None:
    """Only where capitals, or an exact repetition, are asked for is a letter's case part of the task."""
    cased = [item for item in guard_set().items if item.rule == "text"]
    assert {item.type for item in cased} == {"copying", "format"}
    assert all("exactly" in item.prompt or "capital" in item.prompt or "END" in item.prompt for item in cased)
    letters = [item for item in guard_set().of_type("strings") if "letter only" in item.prompt]
    assert len(letters) == 20 and all(is_right(item, item.gold.upper()) for item in letters)


def test_an_answer_that_was_cut_off_while_thinking_could_have_become_right() -> None:
    one = of("number", "42")
    assert is_undecided(one, "<think>12 and 30 are") and is_undecided(one, "12 and 30 are 42, and to check this I")
    assert not is_undecided(one, "<think>12 and 30</think> are 41, are 41, are 41") and not is_undecided(one, "and and and")


@pytest.mark.parametrize(
    ("item", "answer", "right"),
    [
        (of("text", "kite lamp"), "“kite lamp.”", True),
        (of("text", "kite lamp"), "Here you are: kite lamp", True),
        (of("text", "kite lamp"), "Sure!\nkite  lamp", True),
        (of("text", "kite lamp"), "**kite lamp**", True),
        (of("text", "kite lamp"), "lamp kite", False),
        (of("text", "kite lamp"), "kite lamp kite", False),
        (of("text", "KITE"), "kite", False),
        (of("word", "t"), "T", True),
        (of("word", "t"), "The answer is “T”.", True),
        (of("word", "t"), "t or a", False),
        (of("number", "42"), "12 + 30 = 42", True),
        (of("number", "12"), "The answer is 12, because I checked 1 + 1.", True),
        (of("number", "1"), "The answer is 12, because I checked 1 + 1.", False),
        (of("number", "42"), "First 12. So 12 + 30 = 42. I used 2 numbers.", True),
        (of("number", "42"), "<think>12 and 30, is it 41?</think>42", True),
        (of("number", "42"), "is it 41? It may be 43.</think>\n\n42", True),
        (of("number", "41"), "<think>12 and 30, is it 41", False),
        (of("choice", "Mara", "Mara", "Tom"), "Mara. She is taller than Tom.", True),
        (of("choice", "Mara", "Mara", "Tom"), "Tom. He is taller than Mara.", False),
        (of("choice", "Mara", "Mara", "Tom"), "Tom is shorter than Mara. So the answer is Mara.", True),
        (of("choice", "Mara", "Mara", "Tom"), "Tom is taller than Mara. Therefore it is Tom.", False),
        (of("choice", "Mara", "Mara", "Tom"), "The answer is Mara or Tom.", False),
        (of("number", "1042"), "1,042.", True),
        (of("number", "42"), "42 or 43", False),
        (of("number", "42"), "142", False),
        (of("number", "2"), "no number", False),
        (of("choice", "Mara", "Mara", "Tom"), "It is mara.", True),
        (of("choice", "Mara", "Mara", "Tom"), "Mara or Tom", False),
        (of("choice", "Mara", "Mara", "Tom"), "Tomara", False),
        (of("list", "3, 7, 12"), "1. 3\n2. 7\n3. 12", True),
        (of("list", "3, 7, 12"), "3, 7 and 12.", True),
        (of("list", "3, 7, 12"), "The order is: 3 7 12", True),
        (of("list", "3, 7, 12"), "- 3\n- 7\n- 12", True),
        (of("list", "3, 7, 12"), "3, 12, 7", False),
        (of("list", "3, 7, 12"), "3, 7, 12, 12", False),
    ],
)
def test_the_form_is_forgiven_and_the_answer_is_not(item: Item, answer: str, right: bool) -> None:
    assert is_right(item, answer) is right
