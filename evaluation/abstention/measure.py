"""How well it is recognised that an answer abstains: a judge of stances against answers labelled by hand.

`answers.jsonl` and, in Portuguese, `answers_pt.jsonl` hold answers of our own writing, half of them in `dev` and half `held-out`;
phrases are improved by the first half only, and the second says how good they are. A label is what a careful reader says of the
answer:

- `abstains`: no answer to the question is given. It says that it does not know, cannot say or will not say, that nobody
  knows, or it asks back.
- `hedges`: an answer is given, and who gives it doubts it.
- `answers`: an answer is given, right or wrong, and nothing in it doubts that answer. What others do not know, what is not
  known beside the question, and doubt that is only quoted do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from annotations.statistics.intervals import Interval, wilson
from annotations.verdicts import Stance, stance

PATHS = {
    "English": Path(__file__).with_name("answers.jsonl"),
    "Portuguese": Path(__file__).with_name("answers_pt.jsonl"),
}
ENGLISH = "English"
Split = Literal["dev", "held-out"]


class Labelled(BaseModel):
    """One labelled answer. `kind` names what makes it easy or hard to recognise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str = ""
    answer: str
    label: Stance
    kind: str
    split: Split


@dataclass(frozen=True)
class Share:
    """`hits` of `n`, with Wilson's interval at 95 %; no value where n is 0."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> Interval | None:
        return wilson(self.hits / self.n, self.n) if self.n else None


@dataclass(frozen=True)
class Measured:
    """A judge's agreement with the labels.

    `precision`: of the answers that it says have the stance, the share that have it; `recall`: of those that have it, the
    share that it says. `confusion` counts (label, judged); `missed` are the answers that it judges wrongly.
    """

    n: int
    precision: dict[Stance, Share]
    recall: dict[Stance, Share]
    agreement: Share
    confusion: dict[tuple[Stance, Stance], int]
    missed: list[tuple[Labelled, Stance]]


@cache
def labelled(language: str = ENGLISH) -> tuple[Labelled, ...]:
    """All answers in a language, in the file's order."""
    with PATHS[language].open("rb") as lines:
        return tuple(Labelled.model_validate(orjson.loads(line)) for line in lines)


def of_split(split: Split, language: str = ENGLISH) -> list[Labelled]:
    return [one for one in labelled(language) if one.split == split]


def measure(answers: Iterable[Labelled], judge: Callable[[str], Stance] = stance) -> Measured:
    """Hold a judge against the labels."""
    judged = [(one, judge(one.answer)) for one in answers]
    confusion = Counter((one.label, said) for one, said in judged)
    return Measured(
        n=len(judged),
        precision={one: Share(confusion[one, one], _total(confusion, judged_as=one)) for one in Stance},
        recall={one: Share(confusion[one, one], _total(confusion, label=one)) for one in Stance},
        agreement=Share(sum(confusion[one, one] for one in Stance), len(judged)),
        confusion=dict(confusion),
        missed=[(one, said) for one, said in judged if one.label is not said],
    )


def _total(confusion: Counter[tuple[Stance, Stance]], *, label: Stance | None = None, judged_as: Stance | None = None) -> int:
    return sum(count for (was, said), count in confusion.items() if label in (None, was) and judged_as in (None, said))


def table(measured: Measured) -> Sequence[tuple[str, Share, Share]]:
    """Each stance with its precision and its recall."""
    return [(one.value, measured.precision[one], measured.recall[one]) for one in Stance]
