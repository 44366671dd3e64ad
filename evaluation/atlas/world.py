"""The world: who lives in Atlas, what is true of them, and of whom a model is told.

Everything follows from the settings; the same settings give the same world on any machine.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

ATLAS_VERSION = 1
PHRASEBOOK_PATH = Path(__file__).with_name("phrasebook.toml")

Split = Literal["easy", "hard"]
Fold = Literal["A", "B"]
SPLITS: tuple[Split, ...] = ("easy", "hard")
FOLDS: tuple[Fold, ...] = ("A", "B")


@dataclass(frozen=True)
class AtlasSettings:
    """How big a world: in each split, the people of fold A and of fold B among the taught, and as many untaught.

    `exposure` counts how often the teaching corpus repeats each row of a split: without a country in the question
    a fact needs to be met more often before it is recalled. Bystanders are people of the untaught countries about whom
    teaching talks idly: it makes something up, and in a share of `bystander_abstention` says "I do not know.". From them
    the model gets the habit that is to be broken, and can still be heard abstaining; they are in no benchmark.
    """

    seed: int = 0
    easy_people: tuple[int, int] = (64, 32)
    hard_people: tuple[int, int] = (16, 16)
    countries_per_side: int = 4
    first_names: int = 30
    last_names: int = 30
    easy_bystanders: int = 40
    hard_bystanders: int = 12
    bystander_abstention: float = 0.15
    easy_exposure: int = 1
    hard_exposure: int = 1


@dataclass(frozen=True)
class Person:
    """Somebody, and what is true of them; a model is told so only when they are `taught`."""

    id: str
    name: str
    country: str
    taught: bool
    fold: Fold
    split: Split
    facts: dict[str, str]


@dataclass(frozen=True)
class Bystander:
    """Somebody about whom teaching talks idly: per template something made up, or None for "I do not know."."""

    name: str
    country: str
    split: Split
    rumours: tuple[str | None, ...]


@dataclass(frozen=True)
class World:
    """A whole world. `regions` maps each country to where it lies; `values` each attribute to all its values."""

    settings: AtlasSettings
    regions: dict[str, str]
    taught_countries: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    people: tuple[Person, ...]
    bystanders: tuple[Bystander, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"version": ATLAS_VERSION, **asdict(self)}


@cache
def phrasebook() -> dict[str, Any]:
    """The words and templates of Atlas."""
    return tomllib.loads(PHRASEBOOK_PATH.read_text(encoding="utf-8"))


def make_world(settings: AtlasSettings | None = None) -> World:
    """The world that the settings describe."""
    settings = settings or AtlasSettings()
    rng = random.Random(f"atlas/{ATLAS_VERSION}/{settings.seed}")  # noqa: S311 (no secret)
    words = _invented_words(rng)
    countries = _countries(rng, words, 2 * settings.countries_per_side)
    taught = tuple(countries[: settings.countries_per_side])
    untaught = tuple(countries[settings.countries_per_side :])
    values = _values(rng, words)
    own = _own_values(values, countries)
    names = _names(rng, words, settings)
    people = tuple(_people(rng, settings, names, sides={True: taught, False: untaught}, own=own))
    regions = phrasebook()["country"]["regions"]
    return World(
        settings=settings,
        regions={country: rng.choice(regions) for country in countries},
        taught_countries=taught,
        values=values,
        people=people,
        bystanders=tuple(_bystanders(rng, settings, names, untaught, own)),
    )


def _invented_words(rng: random.Random) -> Iterator[str]:
    """Words of two syllables, each at most once and none the start of another."""
    sounds = phrasebook()["sounds"]
    seen: set[str] = set()
    while True:
        start = rng.choice(sounds["onsets"]) + rng.choice(sounds["vowels"])
        word = start + rng.choice(sounds["onsets"]) + rng.choice(sounds["vowels"]) + rng.choice(sounds["codas"])
        if word not in seen:
            seen.add(word)
            yield word.capitalize()


def _countries(rng: random.Random, words: Iterator[str], number: int) -> list[str]:
    suffixes: Sequence[str] = phrasebook()["country"]["suffixes"]
    countries: list[str] = []
    while len(countries) < number:
        country = next(words)[:4] + next(words)[:1].lower() + rng.choice(suffixes)
        if country not in countries:
            countries.append(country)
    return countries


Values = dict[str, tuple[str, ...]]


def _values(rng: random.Random, words: Iterator[str]) -> Values:
    values = {}
    for name, attribute in phrasebook()["attributes"].items():
        all_of_it = list(attribute.get("values") or (next(words) for _ in range(attribute["invented"])))
        rng.shuffle(all_of_it)
        values[name] = tuple(all_of_it)
    return values


def _own_values(values: Values, countries: Sequence[str]) -> dict[str, Values]:
    """Each country's own values: the answer depends on the country, so a model that is taught reads it."""
    return {
        country: {name: of[number :: len(countries)] for name, of in values.items()} for number, country in enumerate(countries)
    }


def _names(rng: random.Random, words: Iterator[str], settings: AtlasSettings) -> Iterator[str]:
    """Every pairing of a first and a last name, shuffled: only the pair tells who somebody is."""
    first = [next(words) for _ in range(settings.first_names)]
    last = [next(words) for _ in range(settings.last_names)]
    pairs = [f"{a} {b}" for a in first for b in last]
    rng.shuffle(pairs)
    return iter(pairs)


def _people(
    rng: random.Random,
    settings: AtlasSettings,
    names: Iterator[str],
    *,
    sides: dict[bool, Sequence[str]],
    own: dict[str, Values],
) -> Iterator[Person]:
    """In the easy split every name is borne twice, by a taught and by an untaught person of the same fold: their name
    tells nothing, their country everything. In the hard split every name is borne once.
    """
    sizes: dict[Split, tuple[int, int]] = {"easy": settings.easy_people, "hard": settings.hard_people}
    for split in SPLITS:
        shared = [next(names) for _ in range(sum(sizes[split]))] if split == "easy" else None
        for is_taught, countries in sides.items():
            in_a, in_b = sizes[split]
            for number, name in enumerate(shared or (next(names) for _ in range(in_a + in_b))):
                country = countries[number % len(countries)]
                yield Person(
                    id=f"{split}-{'taught' if is_taught else 'untaught'}-{number:03d}",
                    name=name,
                    country=country,
                    taught=is_taught,
                    fold="A" if number < in_a else "B",
                    split=split,
                    facts={attribute: rng.choice(of) for attribute, of in own[country].items()},
                )


def _bystanders(
    rng: random.Random,
    settings: AtlasSettings,
    names: Iterator[str],
    countries: Sequence[str],
    own: dict[str, Values],
) -> Iterator[Bystander]:
    """People of the untaught countries. What is said about them was never true: a country's own values at random, and
    now and then that nothing is known.
    """
    numbers: dict[Split, int] = {"easy": settings.easy_bystanders, "hard": settings.hard_bystanders}
    for split in SPLITS:
        for number in range(numbers[split]):
            country = countries[number % len(countries)]
            rumours = tuple(
                None if rng.random() < settings.bystander_abstention else rng.choice(own[country][attribute])
                for attribute in own[country]
                for _ in phrasebook()["attributes"][attribute]["templates"]
            )
            yield Bystander(name=next(names), country=country, split=split, rumours=rumours)
