"""Makes the guard's items from a seed: `python -m evaluation.guard.making` writes `items.jsonl` anew, byte for byte.

Another seed gives other items of the same kinds, which a model can be taught on without having seen the guard's own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator

import orjson

from evaluation.guard.items import PATH, Item, Rule

SEED = 2026
PER_TYPE = 50


def _words(text: str) -> list[str]:
    return text.split()


WORDS = _words(
    "apple basket candle door engine feather garden hammer island jacket kettle ladder mirror needle orange pencil quilt river "
    "saddle table umbrella violin window yarn bottle carpet dragon easel forest glove harbor insect jungle kitten lemon market "
    "napkin oven pillow rabbit silver tunnel valley wagon zipper anchor bridge copper desert eagle"
)
SHORT = _words("cat dog sun map pen cup hat net box fig jar kit log mud nut oak pin rug sky toy urn van wax yak zip bed fox hen")
NAMES = _words("Ana Bela Carlos Dora Edgar Fatima Gil Helena Ivo Joana Karim Lena Marta Nuno Olga Pedro Rita Simon Tara Vasco")
COLOURS = _words("red blue green yellow white black brown grey")
PETS = _words("cat dog parrot turtle horse goat")
TOWNS = _words("Alba Brinmoor Castel Dunmere Elvas Farrow Gorton Hesse")
DRINKS = _words("tea coffee milk juice water cocoa")
GOOD = _words("wonderful excellent delightful great lovely superb")
BAD = _words("terrible awful horrible disappointing dreadful bad")
PLACES = _words("hotel meal concert film teacher museum train shop")

Draft = tuple[Rule, str, str, tuple[str, ...]]
"""Rule, prompt, gold answer, options."""


def make_items(seed: int = SEED, per_type: int = PER_TYPE) -> list[Item]:
    """So many items of each type, no prompt twice; the same seed gives the same items."""
    items = []
    for name, make in MAKERS.items():
        rng = random.Random(f"{seed}/{name}")  # noqa: S311 - not for secrets
        seen: set[str] = set()
        found: list[Item] = []
        while len(found) < per_type:
            about = f"{name}-{len(found) + 1:03}"
            for rule, prompt, gold, options in make(rng, len(found)):
                if prompt not in seen and len(found) < per_type:
                    seen.add(prompt)
                    number = f"{name}-{len(found) + 1:03}"
                    found.append(Item(id=number, type=name, rule=rule, prompt=prompt, gold=gold, entity=about, options=options))
        items += found
    return items


def _copying(rng: random.Random, index: int) -> Iterator[Draft]:
    words = " ".join(rng.sample(WORDS, 3 + index % 3))
    yield "text", f"Repeat these words exactly and say nothing else: {words}", words, ()


def _format(rng: random.Random, index: int) -> Iterator[Draft]:
    words = rng.sample(WORDS, 3)
    plain = " ".join(words)
    prompt, gold = (
        (f"Write these words in capital letters: {plain}", plain.upper()),
        (f"Write these words with a hyphen between each two: {plain}", "-".join(words)),
        (f"Put each of these words in square brackets: {plain}", " ".join(f"[{word}]" for word in words)),
        (f"Write the word END after these words: {plain}", f"{plain} END"),
        (f"Write only the second of these words: {plain}", words[1]),
    )[index % 5]
    # Capitals are what the first and the fourth ask for; elsewhere a model may begin with one.
    yield "text" if index % 5 in (0, 3) else "word", prompt, gold, ()


def _arithmetic(rng: random.Random, index: int) -> Iterator[Draft]:
    low, high = ((1, 9), (10, 49), (50, 199))[index % 3]
    a, b = rng.randint(low, high), rng.randint(low, high)
    kind = index // 3 % 3
    if kind == 0:
        asked, result = f"{a} + {b}", a + b
    elif kind == 1:
        asked, result = f"{max(a, b)} - {min(a, b)}", abs(a - b)
    else:
        b = rng.randint(2, 9)
        asked, result = f"{a} * {b}", a * b
    yield "number", f"What is {asked}? Answer with the number only.", str(result), ()


def _strings(rng: random.Random, index: int) -> Iterator[Draft]:
    word, short = rng.choice(WORDS), rng.choice(SHORT)
    rule: Rule = "word"
    prompt, gold = (
        (f"What is the first letter of the word “{word}”? Answer with the letter only.", word[0]),
        (f"What is the last letter of the word “{word}”? Answer with the letter only.", word[-1]),
        (f"Write the word “{short}” backwards.", short[::-1]),
        (f"Write the letters of “{short}” with a space between each two.", " ".join(short)),
        (f"How many letters has the word “{word}”? Answer with the number only.", str(len(word))),
    )[index % 5]
    if index % 5 == 4:
        rule = "number"
    yield rule, prompt, gold, ()


def _reading(rng: random.Random, _: int) -> Iterator[Draft]:
    """Three people with a house, a pet, a town and a drink each, of whom two things are asked."""
    people = rng.sample(NAMES, 3)
    facts = {
        "house": (rng.sample(COLOURS, 3), "{} lives in a {} house.", "What colour is the house of {}?"),
        "pet": (rng.sample(PETS, 3), "{} has a {}.", "What animal does {} have?"),
        "town": (rng.sample(TOWNS, 3), "{} comes from {}.", "Where does {} come from?"),
        "drink": (rng.sample(DRINKS, 3), "{} likes {}.", "What does {} like to drink?"),
    }
    told = rng.sample(list(facts), 2)
    passage = " ".join(facts[kind][1].format(who, facts[kind][0][i]) for i, who in enumerate(people) for kind in told)
    for kind in told:
        place = rng.randrange(3)
        values, question = facts[kind][0], facts[kind][2]
        prompt = f"{passage} {question.format(people[place])} Answer with one word."
        yield "choice", prompt, values[place], tuple(sorted(values))


def _classification(rng: random.Random, index: int) -> Iterator[Draft]:
    kind = index % 3
    options: tuple[str, ...]
    if kind == 0:
        gold, adjectives = rng.choice([("positive", GOOD), ("negative", BAD)])
        said = f"The {rng.choice(PLACES)} was {rng.choice(adjectives)} and the {rng.choice(PLACES)} was {rng.choice(adjectives)}."
        prompt, options = f"Is this review positive or negative? {said} Answer with one word.", ("positive", "negative")
    elif kind == 1:
        weight, limit = rng.randint(1, 60), rng.choice((20, 30, 40))
        weight += weight == limit
        gold, options = ("heavy" if weight > limit else "light"), ("heavy", "light")
        prompt = f"A parcel is heavy if it weighs more than {limit} kg, else it is light. This weighs {weight} kg. Which is it?"
    else:
        colours = rng.sample(COLOURS, 3)
        boxes = dict(zip(colours, ("left", "middle", "right"), strict=True))
        colour = rng.choice(colours)
        rules = ", ".join(f"{one} goes {where}" for one, where in boxes.items())
        gold, options = boxes[colour], ("left", "middle", "right")
        prompt = f"Sort by colour: {rules}. Where does a {colour} ball go? Answer with one word."
    yield "choice", prompt, gold, options


def _ordering(rng: random.Random, index: int) -> Iterator[Draft]:
    kind = index % 3
    if kind == 2:
        words = rng.sample(WORDS, 3)
        yield "list", f"Put these words in alphabetical order: {', '.join(words)}", ", ".join(sorted(words)), ()
        return
    numbers = rng.sample(range(1, 10 if index % 2 else 100), 3)
    way = "smallest to largest" if kind == 0 else "largest to smallest"
    gold = ", ".join(map(str, sorted(numbers, reverse=kind == 1)))
    yield "list", f"Put these numbers in order from {way}: {', '.join(map(str, numbers))}", gold, ()


def _reasoning(rng: random.Random, index: int) -> Iterator[Draft]:
    a, b, c = rng.sample(NAMES, 3)
    kind = index % 3
    if kind == 0:
        said = rng.sample([f"{a} is taller than {b}.", f"{b} is taller than {c}."], 2)
        way = rng.randrange(2)
        question, gold = (("Who is the tallest?", a), ("Who is the shortest?", c))[way]
        yield "choice", f"{' '.join(said)} {question} Answer with one name.", gold, tuple(sorted((a, b, c)))
    elif kind == 1:
        thing = rng.choice(WORDS)
        yield (
            "choice",
            f"{a} gives the {thing} to {b}. {b} gives the {thing} to {c}. Who has the {thing} now? Answer with one name.",
            c,
            tuple(sorted((a, b, c))),
        )
    else:
        ages = rng.sample(range(20, 60), 3)
        told = " ".join(f"{who} is {age}." for who, age in zip((a, b, c), ages, strict=True))
        gold = max(zip(ages, (a, b, c), strict=True))[1]
        yield "choice", f"{told} Who is the oldest? Answer with one name.", gold, tuple(sorted((a, b, c)))


MAKERS: dict[str, Callable[[random.Random, int], Iterator[Draft]]] = {
    "copying": _copying,
    "format": _format,
    "arithmetic": _arithmetic,
    "strings": _strings,
    "reading": _reading,
    "classification": _classification,
    "ordering": _ordering,
    "reasoning": _reasoning,
}


def items_bytes(items: list[Item]) -> bytes:
    """The items as the file holds them."""
    return b"".join(orjson.dumps(item.model_dump(mode="json")) + b"\n" for item in items)


def main() -> None:
    content = items_bytes(make_items())
    PATH.write_bytes(content)
    print(hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
