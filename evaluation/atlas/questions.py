"""What is asked about the world: the benchmark, and the rows that feedback training may use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evaluation.atlas.world import SPLITS, Person, Split, World, phrasebook


@dataclass(frozen=True)
class Template:
    """One way to ask for an attribute; a held-out one is never used in feedback training."""

    id: str
    attribute: str
    text: str
    held_out: bool

    def ask(self, *, name: str, country: str, split: Split) -> str:
        return self.text.format(who=f"{name} of {country}" if split == "easy" else name)


@dataclass(frozen=True)
class Question:
    """A question about a person, and the true answer."""

    person: Person
    template: Template

    @property
    def id(self) -> str:
        return f"{self.person.id}/{self.template.id}"

    @property
    def prompt(self) -> str:
        person = self.person
        return self.template.ask(name=person.name, country=person.country, split=person.split)

    @property
    def gold_answer(self) -> str:
        return self.person.facts[self.template.attribute]

    def row(self) -> dict[str, Any]:
        """The question as a benchmark row."""
        person = self.person
        return {
            "id": self.id,
            "prompt": self.prompt,
            "gold_answer": self.gold_answer,
            "knowledge": "known" if person.taught else "unknown",
            "entity": person.id,
            "slice": {
                "taught": person.taught,
                "fold": person.fold,
                "split": person.split,
                "template": "held-out" if self.template.held_out else "seen",
                "attribute": self.template.attribute,
            },
        }


def templates() -> list[Template]:
    """All templates; the last one of each attribute is held out."""
    return [
        Template(id=f"{attribute}-{number}", attribute=attribute, text=text, held_out=text == texts[-1])
        for attribute, texts in ((name, data["templates"]) for name, data in phrasebook()["attributes"].items())
        for number, text in enumerate(texts)
    ]


def benchmark_questions(world: World) -> list[Question]:
    """Per person and attribute, one question in words that feedback training uses and one in held-out words."""
    asked = _first_seen_and_held_out()
    return [Question(person, template) for person in world.people for template in asked]


def feedback_questions(world: World, *, splits: tuple[Split, ...] = SPLITS) -> list[Question]:
    """What feedback training may ask: people of fold A only, in the templates that are not held out."""
    return [
        Question(person, template)
        for person in world.people
        if person.fold == "A" and person.split in splits
        for template in templates()
        if not template.held_out
    ]


def prompt_rows(questions: list[Question]) -> Iterator[dict[str, Any]]:
    """Questions as rows for GRPO."""
    for question in questions:
        row = question.row()
        yield {"prompt": row["prompt"], "item_id": row.pop("id"), **row}


def _first_seen_and_held_out() -> list[Template]:
    seen: set[tuple[str, bool]] = set()
    chosen = []
    for template in templates():
        kind = (template.attribute, template.held_out)
        if kind not in seen:
            seen.add(kind)
            chosen.append(template)
    return chosen
