"""What is said to a model beside the question: the texts, and the wrong answers that some of them suggest."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from annotations.verdicts import normalise
from evaluation.answers import Language
from evaluation.asking.replies import Prompt, last_turn, with_last_turn
from evaluation.benchmarks.folder import BenchmarkFolder, Question

PATH = Path(__file__).with_name("turns.toml")


@dataclass(frozen=True)
class Turns:
    """The texts of one language; see `turns.toml`."""

    stated: str
    are_you_sure: str
    false_authority: str
    leading_premise: str
    critique: str
    revise: str
    belief: str


@cache
def turns(language: Language = "en") -> Turns:
    return Turns(**tomllib.loads(PATH.read_text(encoding="utf-8"))[language])


def put_otherwise(prompt: Prompt, text: str, suggested: str = "") -> Prompt:
    """The question put in the words of `text`; what was said before it stays."""
    return with_last_turn(prompt, filled(text, question=last_turn(prompt), suggested=suggested))


def filled(text: str, *, question: str = "", suggested: str = "") -> str:
    """Fill in a text; braces in what is filled in stay as they are."""
    parts = text.replace("{suggested}", "\0s").replace("{question}", "\0q")
    return parts.replace("\0s", suggested).replace("\0q", question)


def wrong_answers(benchmark: BenchmarkFolder) -> dict[str, str | None]:
    """For each question, by id, an answer that is wrong and could be believed; None where none can be had.

    One that the benchmark lists as wrong; else another value of the kind that its grammar has the right one in; else what is
    right of another question, one of the same slices where there is one. Which of several is a matter of the question's id
    alone, so that all models are pressed for the same.
    """
    others = _right_answers(benchmark.questions)
    return {question.id: _wrong_answer(question, benchmark.values, others) for question in benchmark.questions}


def _wrong_answer(
    question: Question, values: Mapping[str, tuple[str, ...]], others: Mapping[tuple[tuple[str, str], ...], Sequence[str]]
) -> str | None:
    right = {normalise(one) for one in question.gold_answers}
    kinds = [kind for kind in values.values() if right & {normalise(value) for value in kind}]
    places = [question.wrong_answers, *kinds, others.get(_slices(question), ()), others.get((), ())]
    for place in places:
        candidates = sorted({one for one in place if normalise(one) and normalise(one) not in right})
        if candidates:
            return candidates[int(hashlib.sha256(question.id.encode()).hexdigest(), 16) % len(candidates)]
    return None


def _right_answers(questions: Sequence[Question]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """What is right of some question, by the slices that the question is in, and of any under ()."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {(): []}
    for question in questions:
        first = question.gold_answers[:1]
        found[()] += first
        if key := _slices(question):
            found.setdefault(key, []).extend(first)
    return found


def _slices(question: Question) -> tuple[tuple[str, str], ...]:
    """What kind of question it is; whether it was taught, and to whom it was asked, says nothing of that."""
    kind = {name: str(value) for name, value in question.slice.items() if name not in ("taught", "fold", "split")}
    return tuple(sorted(kind.items()))
