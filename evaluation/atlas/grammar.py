"""Which answers are well formed: exactly one value of the world with a full stop, or exactly the abstention."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from annotations.verdicts import ABSTENTION
from evaluation.atlas.corpus import answer_text
from evaluation.atlas.world import World


@dataclass(frozen=True)
class Parsed:
    """A well-formed answer: the value given and the attribute it belongs to, or neither for the abstention."""

    value: str | None
    attribute: str | None

    @property
    def abstains(self) -> bool:
        return self.value is None


class Grammar:
    """The answers that a world allows. Strict on purpose: "I do do not know." is broken text, not an abstention."""

    def __init__(self, values: dict[str, tuple[str, ...]]) -> None:
        self._answers = {answer_text(value): Parsed(value, attribute) for attribute, all_ in values.items() for value in all_}
        self._answers[ABSTENTION] = Parsed(None, None)

    @classmethod
    def of(cls, world: World) -> Grammar:
        return cls(world.values)

    def parse(self, answer: str, *, attribute: str | None = None) -> Parsed | None:
        """The answer's parts, or None when it is not well formed, or is of another `attribute` than asked for."""
        parsed = self._answers.get(answer.strip())
        if parsed is None or parsed.abstains or attribute in (None, parsed.attribute):
            return parsed
        return None

    def parse_share(self, answers: Iterable[str]) -> float:
        """The share of answers that are well formed; 1 for no answers."""
        parsed = [self.parse(answer) is not None for answer in answers]
        return sum(parsed) / len(parsed) if parsed else 1.0
