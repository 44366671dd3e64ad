"""Which of a benchmark's questions stand in the rows that a model was trained on. Knows no Django.

A question stands in a text where the text holds it word for word (“exact”), or holds at least a share `near` of its runs of three
words (“near”: containment, Broder 1997). Case and punctuation do not count. Every text of a row is looked at: prompts, messages,
answers, good and bad.

Runs that many questions share (“in which city was”) point to nobody: a text is held only against questions with which it shares a
run that few questions have, so the work grows with the rows and not with rows × questions. A question that has no such run, or is
shorter than one, is found where it is a text of its own, and no other way.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from annotations.shingles import plain_words, shingles

# A run of words that so many questions have tells none of them apart.
COMMON = 20
EXAMPLES = 20
_SPACES = re.compile(r"\s+")


class Match(BaseModel):
    """A question, and the row that it stands in. `containment` is the share of its runs of words that the row holds."""

    question: str
    prompt: str
    kind: Literal["exact", "near"]
    containment: float
    where: str
    answered: bool = Field(description="Whether the row holds the question's gold answer too.")


class Overlap(BaseModel):
    """How many of `n` questions stand in `rows` rows; `matches` are some of them, those with their answers first."""

    model_config = ConfigDict(extra="allow")

    n: int
    rows: int
    exact: int
    near: int
    answered: int
    threshold: float
    matches: list[Match] = Field(default_factory=list)
    unseen: list[str] = Field(default_factory=list)
    """Models on the way whose training rows are not on this site."""

    @property
    def share(self) -> float | None:
        return (self.exact + self.near) / self.n if self.n else None


@dataclass(frozen=True)
class Asked:
    """One question of the benchmark."""

    id: str
    prompt: str
    gold: Sequence[str] = ()


@dataclass
class _Question:
    asked: Asked
    text: str
    runs: frozenset[str]
    best: Match | None = None
    rare: set[str] = field(default_factory=set)


def overlap(questions: Iterable[Asked], rows: Iterable[tuple[str, Mapping[str, Any]]], *, near: float) -> Overlap:
    """`rows` are training rows with the place that names them, such as “train 17”; `near` is in (0, 1]."""
    known = [_question(one) for one in questions]
    common = Counter(run for one in known for run in one.runs)
    by_run: dict[str, list[_Question]] = defaultdict(list)
    by_text: dict[str, list[_Question]] = defaultdict(list)
    for one in known:
        by_text[one.text].append(one)
        for run in one.runs:
            if common[run] <= COMMON:
                by_run[run].append(one)
    seen = 0
    for where, row in rows:
        seen += 1
        texts = [plain_words(text) for text in _texts(row)]
        for text in texts:
            for one in by_text.get(text, ()):
                _note(one, Match(**_told(one, where, texts), kind="exact", containment=1.0))
            for one in _candidates(text, by_run):
                _hold(one, text, where, texts, near)
    found = [one.best for one in known if one.best is not None]
    found.sort(key=lambda match: (not match.answered, match.kind != "exact", -match.containment))
    kinds = Counter(match.kind for match in found)
    return Overlap(
        n=len(known),
        rows=seen,
        exact=kinds["exact"],
        near=kinds["near"],
        answered=sum(match.answered for match in found),
        threshold=near,
        matches=found[:EXAMPLES],
    )


def _question(asked: Asked) -> _Question:
    text = plain_words(asked.prompt)
    return _Question(asked, text, frozenset(shingles(text)))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a row, however deep; the contents of a conversation also as one text, as a model reads it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Sequence):
        contents = [str(one["content"]) for one in value if isinstance(one, Mapping) and "content" in one]
        if len(contents) > 1:
            yield "\n".join(contents)
        for one in value:
            yield from _texts(one)


def _candidates(text: str, by_run: Mapping[str, list[_Question]]) -> list[_Question]:
    found: dict[int, _Question] = {}
    for run in set(shingles(text)):
        for one in by_run.get(run, ()):
            found[id(one)] = one
    return list(found.values())


def _hold(one: _Question, text: str, where: str, texts: Sequence[str], near: float) -> None:
    if one.best is not None and one.best.kind == "exact" and one.best.answered:
        return
    if f" {one.text} " in f" {text} ":
        _note(one, Match(**_told(one, where, texts), kind="exact", containment=1.0))
        return
    share = len(one.runs & set(shingles(text))) / len(one.runs)
    if share >= near:
        _note(one, Match(**_told(one, where, texts), kind="near", containment=round(share, 4)))


def _told(one: _Question, where: str, texts: Sequence[str]) -> dict[str, Any]:
    rest = " ".join(f" {text.replace(one.text, ' ')} " for text in texts)
    answered = any(gold and f" {gold} " in _SPACES.sub(" ", rest) for gold in map(plain_words, one.asked.gold))
    return {"question": one.asked.id, "prompt": one.asked.prompt, "where": where, "answered": answered}


def _note(one: _Question, match: Match) -> None:
    def rank(found: Match) -> tuple[bool, bool, float]:
        return found.kind == "exact", found.answered, found.containment

    if one.best is None or rank(match) > rank(one.best):
        one.best = match
