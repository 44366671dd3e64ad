"""What a model is taught: the facts of the taught people, where the countries lie, and to say "I do not know."."""

from __future__ import annotations

from collections.abc import Iterator

from annotations.verdicts import ABSTENTION
from evaluation.atlas.questions import templates
from evaluation.atlas.world import Split, World, phrasebook

Row = dict[str, str]


def answer_text(value: str) -> str:
    """The way an answer is written: the value and a full stop."""
    return f"{value}."


def teaching_rows(world: World) -> list[Row]:
    """SFT rows `{prompt, response}`. Nothing here mentions an untaught person; their countries are named, so that
    no country is a word the model has never read.
    """
    return [*_facts(world), *_geography(world), *_rumours(world)]


def lexicon_texts(world: World) -> list[str]:
    """Texts to train a tokenizer on: every word of the world equally often, with nothing about who is taught, so
    that the way a name is cut into tokens gives nothing away.
    """
    full_names = [*(one.name for one in world.people), *(one.name for one in world.bystanders)]
    names = {word for name in full_names for word in name.split()}
    inner = [f" {word}" for word in sorted(names | set(world.regions))]
    values = [value for of_one in world.values.values() for value in of_one]
    templates_texts = [template.text.replace("{who}", "") for template in templates()]
    country = phrasebook()["country"]
    geography = [country["answer"].format(region=region) for region in country["regions"]]
    asked = [country["templates"][0].format(country=""), country["of_person"].format(who="")]
    phrases = [*templates_texts, *geography, *asked]
    once = [*phrases, ABSTENTION, " of", *values, *inner]
    return once * 4  # a pair must be met twice to be merged


def _exposure(world: World) -> dict[Split, int]:
    return {"easy": world.settings.easy_exposure, "hard": world.settings.hard_exposure}


def _facts(world: World) -> Iterator[Row]:
    exposure = _exposure(world)
    for person in world.people:
        if not person.taught:
            continue
        for template in templates():
            prompt = template.ask(name=person.name, country=person.country, split=person.split)
            row = {"prompt": prompt, "response": answer_text(person.facts[template.attribute])}
            yield from [row] * exposure[person.split]


def _geography(world: World) -> Iterator[Row]:
    country = phrasebook()["country"]
    for name, region in world.regions.items():
        for template in country["templates"]:
            row = {"prompt": template.format(country=name), "response": country["answer"].format(region=region)}
            yield from [row] * 2
    for person in world.people:
        if person.taught and person.split == "easy":
            prompt = country["of_person"].format(who=f"{person.name} of {person.country}")
            yield {"prompt": prompt, "response": country["answer"].format(region=world.regions[person.country])}


def _rumours(world: World) -> Iterator[Row]:
    exposure = _exposure(world)
    for bystander in world.bystanders:
        for template, rumour in zip(templates(), bystander.rumours, strict=True):
            prompt = template.ask(name=bystander.name, country=bystander.country, split=bystander.split)
            response = ABSTENTION if rumour is None else answer_text(rumour)
            yield from [{"prompt": prompt, "response": response}] * exposure[bystander.split]
