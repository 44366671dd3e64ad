"""Which of a benchmark's questions stand in the rows that a model was trained on. Knows no Django.

A question stands in a text where the text holds it word for word (“exact”), or holds at least a share `near` of its runs of three
words, and of those among them that few questions have (“near”: containment, Broder 1997). Case and punctuation do not count. All
texts of a row are looked at: prompts, messages, answers, good and bad.

Runs that many questions share (“in which city was”) point to nobody: a text is held only against questions with which it shares a
run that few questions have, so the work grows with the rows and not with rows × questions. A question that has no such run, or is
shorter than one, is found where it is a text of its own, and no other way.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from annotations.shingles import plain_words, shingles

# A run of words that so many questions have tells none of them apart.
COMMON = 20
# As many stand in the verdict, and so in a certificate; all of them are written beside it.
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
    before: bool = Field(False, description="Whether the model that it is held against has seen as much.")


class Overlap(BaseModel):
    """How many of `n` questions stand in `rows` rows; `matches` are they, those with their answers first. A kept verdict has the
    first of them only.
    """

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
    before: int | None = None
    """How many of those found stand in the rows of the model that it is held against too; None: these rows are not known."""
    reference: str = ""
    """The model that it is held against."""

    @property
    def found(self) -> int:
        return self.exact + self.near

    def shortened(self) -> Overlap:
        """With so few of the questions as a page shows."""
        return self.model_copy(update={"matches": self.matches[:EXAMPLES]})

    @property
    def share(self) -> float | None:
        return self.found / self.n if self.n else None

    @property
    def added_share(self) -> float | None:
        """Without those that the model that it is held against has seen as well; of all, where that is not known."""
        return (self.found - (self.before or 0)) / self.n if self.n else None


@dataclass(frozen=True)
class Asked:
    """One question of the benchmark."""

    id: str
    prompt: str
    gold: Sequence[str] = ()


@dataclass(frozen=True)
class _Question:
    number: int
    asked: Asked
    text: str
    runs: frozenset[str]
    telling: frozenset[str] = frozenset()
    """those runs that few questions have"""


@dataclass
class Seen:
    """What was found in some rows: of each question, by its number, the match that gives most away."""

    rows: int = 0
    best: dict[int, Match] = field(default_factory=dict)

    def note(self, number: int, match: Match) -> None:
        if number not in self.best or _rank(match) > _rank(self.best[number]):
            self.best[number] = match

    def joined(self, other: Seen) -> Seen:
        """With what was found in other rows."""
        found = Seen(self.rows + other.rows, dict(self.best))
        for number, match in other.best.items():
            found.note(number, match)
        return found


def _rank(match: Match) -> tuple[bool, bool, float]:
    return match.kind == "exact", match.answered, match.containment


class Sought:
    """Questions that are looked for in rows: made ready once, and held against as many rows as there are."""

    def __init__(self, questions: Iterable[Asked], *, near: float) -> None:
        """`near` is in (0, 1]."""
        self._near = near
        known = [_question(number, one) for number, one in enumerate(questions)]
        common = Counter(run for one in known for run in one.runs)
        self._known = [replace(one, telling=frozenset(run for run in one.runs if common[run] <= COMMON)) for one in known]
        self._by_run: dict[str, list[_Question]] = defaultdict(list)
        self._by_text: dict[str, list[_Question]] = defaultdict(list)
        for one in self._known:
            self._by_text[one.text].append(one)
            for run in one.telling:
                self._by_run[run].append(one)

    def among(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Seen:
        """`rows` are training rows with the place that names them, such as “train 17”."""
        seen = Seen()
        for where, row in rows:
            seen.rows += 1
            texts = [plain_words(text) for text in _texts(row)]
            for text in texts:
                for one in self._by_text.get(text, ()):
                    seen.note(one.number, Match(**_told(one, where, texts), kind="exact", containment=1.0))
                self._hold(text, where, texts, seen)
        return seen

    def _hold(self, text: str, where: str, texts: Sequence[str], seen: Seen) -> None:
        """Hold a text against every question that shares a telling run with it; its own runs are made once for all of them."""
        runs = set(shingles(text))
        padded = f" {text} "
        for one in {one.number: one for run in runs for one in self._by_run.get(run, ())}.values():
            best = seen.best.get(one.number)
            if best is not None and best.kind == "exact" and best.answered:
                continue
            if f" {one.text} " in padded:
                seen.note(one.number, Match(**_told(one, where, texts), kind="exact", containment=1.0))
                continue
            # Of all its runs, and of those that tell it from others: else whoever has the same first name would be near.
            share = min(len(some & runs) / len(some) for some in (one.runs, one.telling))
            if share >= self._near:
                seen.note(one.number, Match(**_told(one, where, texts), kind="near", containment=round(share, 4)))

    def overlap(self, seen: Seen, *, before: Seen | None = None) -> Overlap:
        """What was found, as it is told; `before`: in the rows of the model that it is held against."""
        found = {number: _before(match, before.best.get(number) if before else None) for number, match in seen.best.items()}
        matches = sorted(found.values(), key=lambda one: (one.before, not one.answered, one.kind != "exact", -one.containment))
        kinds = Counter(match.kind for match in matches)
        return Overlap(
            n=len(self._known),
            rows=seen.rows,
            exact=kinds["exact"],
            near=kinds["near"],
            answered=sum(match.answered for match in matches),
            before=None if before is None else sum(match.before for match in matches),
            threshold=self._near,
            matches=matches,
        )


def overlap(
    questions: Iterable[Asked],
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    near: float,
    before: Iterable[tuple[str, Mapping[str, Any]]] | None = None,
) -> Overlap:
    """Of questions and training rows; `before` are those of the model that this one is held against."""
    sought = Sought(questions, near=near)
    return sought.overlap(sought.among(rows), before=None if before is None else sought.among(before))


def _before(match: Match, before: Match | None) -> Match:
    """Whether it gives away no more than the other model has seen: the question itself is more than one that is only near, which
    may be about something else, and so may its answer; a question with its answer is more than the question.
    """
    if before is None:
        return match.model_copy(update={"before": False})
    more = match.kind == "exact" and (before.kind != "exact" or (match.answered and not before.answered))
    return match.model_copy(update={"before": not more})


def _question(number: int, asked: Asked) -> _Question:
    text = plain_words(asked.prompt)
    return _Question(number, asked, text, frozenset(shingles(text)))


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


def _told(one: _Question, where: str, texts: Sequence[str]) -> dict[str, Any]:
    rest = " ".join(f" {text.replace(one.text, ' ')} " for text in texts)
    answered = any(gold and f" {gold} " in _SPACES.sub(" ", rest) for gold in map(plain_words, one.asked.gold))
    return {"question": one.asked.id, "prompt": one.asked.prompt, "where": where, "answered": answered}
