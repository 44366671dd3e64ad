"""What a benchmark's format is: how its records are recognised, and the questions that each of them holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotations.sources.records import Record


@dataclass(frozen=True)
class BenchmarkFormat:
    """`recognise` tells from 0 to 1 how sure it is that records look like this. `questions` gives a record's questions as lines
    of `benchmark.jsonl`, and raises `Unreadable` (annotations/sources/format.py) where it cannot.

    `origin` is who published it and where; `named` formats are never taken unasked, for their files look like another's.
    """

    name: str
    title: str
    about: str
    origin: str
    looks: str
    recognise: Callable[[Sequence[Any]], float]
    questions: Callable[[Record], list[dict[str, Any]]]
    named: bool = False


def shuffled(choices: Sequence[str], seed: str) -> list[str]:
    """The choices in an order that is the same for every reader, and says nothing of which is right."""
    return sorted(choices, key=lambda one: hashlib.sha256(f"{seed}\0{one}".encode()).digest())


def lettered(choices: Sequence[str]) -> dict[str, str]:
    return {chr(ord("A") + number): one for number, one in enumerate(choices)}


def with_choices(question: str, choices: Mapping[str, str]) -> str:
    """The prompt of a choice."""
    listed = "\n".join(f"({letter}) {text}" for letter, text in choices.items())
    return f"{question}\n{listed}\nAnswer with the letter of the true answer only."


def labels(value: Mapping[str, Any], *names: str) -> dict[str, str]:
    """What a record says of itself that its questions can be sliced by, by lower-case names."""
    return {name.lower(): str(value[name]) for name in names if value.get(name) not in (None, "")}
