"""What is said to a model beside the question: the texts, and the wrong answers that some of them suggest."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from annotations.verdicts import comparable
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
    others = {key: _Candidates.of(found) for key, found in _right_answers(benchmark.questions).items()}
    kinds = [_Candidates.of(kind) for kind in benchmark.values.values()]
    return {question.id: _wrong_answer(question, kinds, others) for question in benchmark.questions}


Slices = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Candidates:
    """Different answers in order, and where each one stands, in the words that are compared. Made once: many questions of a
    large benchmark choose from the same thousands.
    """

    answers: Sequence[str]
    places: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, found: Iterable[str]) -> _Candidates:
        said = {one: comparable(one) for one in sorted(set(found))}
        answers = [one for one, words in said.items() if words]
        places: dict[str, list[int]] = {}
        for place, one in enumerate(answers):
            places.setdefault(said[one], []).append(place)
        return cls(answers, places)

    def chosen(self, number: int, *, besides: Iterable[str]) -> str | None:
        """The one that a large number points to, of those that are none of `besides`."""
        left_out = sorted(place for one in set(besides) for place in self.places.get(one, ()))
        left = len(self.answers) - len(left_out)
        if left == 0:
            return None
        place = number % left
        for gap in left_out:
            place += gap <= place
        return self.answers[place]


def _wrong_answer(question: Question, kinds: Sequence[_Candidates], others: Mapping[Slices, _Candidates]) -> str | None:
    right = {comparable(one) for one in question.gold_answers}
    number = int(hashlib.sha256(question.id.encode()).hexdigest(), 16)
    listed = _Candidates.of(question.wrong_answers)
    same = [kind for kind in kinds if not right.isdisjoint(kind.places)]
    places = [listed, *same, *(others[key] for key in (_slices(question), ()) if key in others)]
    return next((found for place in places if (found := place.chosen(number, besides=right)) is not None), None)


def _right_answers(questions: Sequence[Question]) -> dict[Slices, list[str]]:
    """What is right of some question, by the slices that the question is in, and of any under ()."""
    found: dict[Slices, list[str]] = {(): []}
    for question in questions:
        first = question.gold_answers[:1]
        found[()] += first
        if key := _slices(question):
            found.setdefault(key, []).extend(first)
    return found


def _slices(question: Question) -> Slices:
    """What kind of question it is; whether it was taught, and to whom it was asked, says nothing of that."""
    kind = {name: str(value) for name, value in question.slice.items() if name not in ("taught", "fold", "split")}
    return tuple(sorted(kind.items()))
