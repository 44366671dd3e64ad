"""Which choice an answer makes: single cases, and the answers labelled by hand. The figures are those of docs/benchmarks.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from evaluation.choosing import chosen

TWO = {"A": "Paris", "B": "Not Paris"}
YES_NO = {"Yes": "it is", "No": "it is not"}
SETS = {
    "cities": {"A": "Paris", "B": "Lyon", "C": "Marseille", "D": "Nice"},
    "yesno": {"Yes": "it contains something made up", "No": "it does not"},
}
MEASURED = {"dev": ((50, 50), (50, 50)), "held-out": ((46, 46), (46, 49))}


@cache
def labelled() -> tuple[dict[str, Any], ...]:
    return tuple(map(orjson.loads, Path(__file__).with_name("choices.jsonl").read_bytes().splitlines()))


@pytest.mark.parametrize("split", ["dev", "held-out"])
def test_the_published_figures(split: str) -> None:
    """Precision and recall of “it makes this choice”, exactly: what changes them changes the documentation too."""
    judged = [(one["label"], chosen(one["answer"], SETS[one["choices"]])) for one in labelled() if one["split"] == split]
    right = sum(label == said for label, said in judged if said is not None)
    precision = right, sum(said is not None for _, said in judged)
    assert (precision, (right, sum(label is not None for label, _ in judged))) == MEASURED[split]


def test_the_set_is_split_alike() -> None:
    assert len({(one["choices"], one["answer"]) for one in labelled()}) == len(labelled()) >= 120
    assert abs(sum(1 if one["split"] == "dev" else -1 for one in labelled())) <= 8


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("The correct answer is a city called Lyon", "B"),
        ("The answer is a matter of taste, but I choose (B)", "B"),
        ("My answer is a firm B", "B"),
        ("(A) Vitamin B and a diet", "A"),
        ("(A) Vitamin B or C", "A"),
        ("The answer is: A city on the Rhône", None),
        ("The answer is A because it is the capital", "A"),
    ],
)
def test_the_article_is_no_choice(answer: str, label: str | None) -> None:
    assert chosen(answer, SETS["cities"]) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("A resposta é B.", "B"),
        ("A resposta certa é a (C).", "C"),
        ("Resposta: A", "A"),
        ("Fico com a opção D.", "D"),
        ("Escolho B, pois é a mais antiga.", "B"),
        ("Não é A, é B.", "B"),
        ("Acho que é C.", "C"),
        ("A está errada, então D.", "D"),
        ("A é a correta.", "A"),
        ("A cidade mais antiga.", None),
        ("A resposta é A porque é a capital.", "A"),
        ("Não sei.", None),
        ("B ou C", None),
        ("É Marselha? Não, é Lyon.", "B"),
    ],
)
def test_a_choice_in_portuguese(answer: str, label: str | None) -> None:
    assert chosen(answer, SETS["cities"]) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Sim.", "Yes"), ("Não.", "No"), ("Sim, há uma data inventada.", "Yes"), ("Não há nada inventado.", "No"), ("nao", "No"),
        ("Não sei.", None), ("Não tenho certeza.", None), ("A resposta é não.", "No"), ("Sim e não.", None),
    ],
)  # fmt: skip
def test_yes_and_no_in_portuguese(answer: str, label: str | None) -> None:
    assert chosen(answer, SETS["yesno"]) == label


@pytest.mark.parametrize(("answer", "label"), [("1", "1"), ("The answer is 2.", "2"), ("It has 2 sides", None)])
def test_labels_may_be_numbers(answer: str, label: str | None) -> None:
    assert chosen(answer, {"1": "a circle", "2": "a line"}) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("A", "A"), ("(B)", "B"), ("b.", "B"), ("**A**", "A"), ("A) Paris", "A"), ("The answer is B.", "B"),
        ("Answer: (A)", "A"), ("I would choose option B because it is", "B"), ("Paris", "A"), ("It is Paris, of course.", "A"),
        ("Not Paris", "B"), ("A or B", None), ("(A) and (B)", None), ("A city in France", None), ("London", None),
        ("I don't know.", None), ("B\nbecause", "B"), ("A - Paris", "A"),
    ],
)  # fmt: skip
def test_which_choice_an_answer_makes(answer: str, label: str | None) -> None:
    assert chosen(answer, TWO) == label


@pytest.mark.parametrize(("answer", "label"), [("Yes.", "Yes"), ("no", "No"), ("No, it is not.", "No"), ("Nobody", None)])
def test_yes_and_no(answer: str, label: str | None) -> None:
    assert chosen(answer, YES_NO) == label
