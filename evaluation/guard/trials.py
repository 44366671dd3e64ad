"""What the guard compares: tasks with what became of them, before and after, wherever they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from annotations.stances import Stance, stance
from evaluation.guard.items import GuardSet, Item
from evaluation.guard.scoring import is_right, is_undecided, said_in


@dataclass(frozen=True)
class Given:
    """An answer as a model gave it; `cut`: it was stopped for its length."""

    text: str
    cut: bool = False


@dataclass(frozen=True)
class Outcome:
    """A judged answer. `undecided`: it was cut off where it could have become right."""

    text: str
    right: bool
    declined: bool = False
    cut: bool = False
    undecided: bool = False


@dataclass(frozen=True)
class Trial:
    """One task. `options`: among how many answers one could guess, 0 where there are none to choose from; what shares an `entity`
    is drawn together.
    """

    id: str
    entity: str
    prompt: str
    gold: str
    options: int
    after: Outcome
    before: Outcome | None = None


@dataclass(frozen=True)
class Others:
    """Another's tasks, by name: `source` is whose, `figures` what it says of the model itself, `limit` how many questions of each
    were asked (None: all), `unasked` why nothing is known of a task.
    """

    source: str
    trials: Mapping[str, Sequence[Trial]] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    limit: int | None = None
    unasked: Mapping[str, str] = field(default_factory=dict)


def trials_of(items: GuardSet, after: Sequence[Given], before: Sequence[Given] | None) -> dict[str, list[Trial]]:
    """The guard's own items by task type, with a model's answers and its base's, in their order."""
    found: dict[str, list[Trial]] = {}
    for place, item in enumerate(items.items):
        now = _judged(item, after[place])
        was = _judged(item, before[place]) if before is not None else None
        found.setdefault(item.type, []).append(
            Trial(item.id, item.entity, item.prompt, item.gold, len(item.options), after=now, before=was)
        )
    return found


def _judged(item: Item, given: Given) -> Outcome:
    """Who was cut off on the way to an answer has not declined."""
    undecided = given.cut and is_undecided(item, given.text)
    declined = is_declined(given.text) and not undecided
    return Outcome(given.text, right=is_right(item, given.text), declined=declined, cut=given.cut, undecided=undecided)


def is_declined(answer: str) -> bool:
    """Whether it declines; to say nothing at all counts as that."""
    said = said_in(answer)
    return not said or stance(said) is Stance.ABSTAINS


def chance_of(trials: Sequence[Trial]) -> float:
    """The share right of the better of two guesses: one of a task's options at random, or always the commonest gold answer."""
    by_options = sum(1 / one.options if one.options else 0 for one in trials) / len(trials)
    commonest = Counter(one.gold for one in trials).most_common(1)[0][1] / len(trials)
    return max(by_options, commonest)
