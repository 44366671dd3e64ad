"""The guard's items: what is asked, what is right, and by which rule. They are a versioned file with a content hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

PATH = Path(__file__).with_name("items.jsonl")
VERSION = "2"
HASHES = {
    "1": "60f71c7ace49ff3bb7d90cbb4be660867bdafc7fbfa60ebc494085637c0df41f",
    "2": "aca7253a6ee9551ccf53848f88174f317b772feb9ae69e5fc9ad915bc738cbe2",
}
"""The SHA-256 of each version's `items.jsonl`. Other items are another version: their results are not comparable. The second asks
what the first did, and takes a word in any case where its case is not asked for.
"""

Rule = Literal["text", "word", "list", "number", "choice"]
"""`text` is right in its own case only, `word` in any."""
TITLES = {
    "copying": "Copying",
    "format": "Following a format",
    "arithmetic": "Arithmetic",
    "strings": "Letters and words",
    "reading": "Reading",
    "classification": "Sorting into classes",
    "ordering": "Putting in order",
    "reasoning": "Reasoning in two steps",
}
"""The task types, as people read them, in the order in which they are shown."""


class Item(BaseModel):
    """One line of `items.jsonl`. Everything that is needed for the answer stands in the prompt.

    `entity` names what items share (a passage): they stand or fall together. `options` are the answers among which one could
    guess, where there are such.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str
    rule: Rule
    prompt: str
    gold: str
    entity: str
    options: tuple[str, ...] = Field(default=())


@dataclass(frozen=True)
class GuardSet:
    """The items with what identifies them."""

    version: str
    hash: str
    items: tuple[Item, ...]

    def of_type(self, name: str) -> list[Item]:
        return [item for item in self.items if item.type == name]


@cache
def guard_set(path: Path = PATH) -> GuardSet:
    """Read the items. Raises ValueError where the file is not the one that its version names."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if path == PATH and digest != HASHES[VERSION]:
        raise ValueError(f"{path.name} is not version {VERSION} of the guard's items: its hash is {digest}.")
    items = tuple(Item.model_validate(orjson.loads(line)) for line in content.splitlines())
    return GuardSet(VERSION, digest, items)
