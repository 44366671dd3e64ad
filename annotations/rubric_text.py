"""Rubrics as TOML, and what is different between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from annotations.rubric import Dimension, Example, Rubric


def rubric_toml(rubric: Rubric) -> str:
    """The rubric as a file under `rubrics/` is written; reading it gives the same rubric again."""
    head = {"name": rubric.name, "version": rubric.version, "title": rubric.title, "summary": rubric.summary}
    parts = [_pairs(head)]
    parts += [f"[[scale]]\n{_pairs(step.model_dump())}" for step in rubric.scale]
    parts += [f"[[dimensions]]\n{_pairs(dimension.model_dump())}" for dimension in rubric.dimensions]
    parts += [f"[[examples]]\n{_pairs(example.model_dump())}" for example in rubric.examples]
    parts.append(f"[verdicts]\n{_pairs({verdict.value: score for verdict, score in rubric.verdicts.items()})}")
    return "\n".join(parts)


def _pairs(values: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: str | int) -> str:
    # A JSON string is a TOML string, but for the one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class Difference:
    """One thing that two rubrics say differently; None on the side that does not have it."""

    place: str
    before: str | None
    after: str | None


def rubric_differences(before: Rubric, after: Rubric) -> list[Difference]:
    """What changed from one rubric to the other, in the order in which a rubric is read."""
    told: list[tuple[str, str | None, str | None]] = [
        ("title", before.title, after.title),
        ("summary", before.summary, after.summary),
    ]
    for old, new in zip(before.scale, after.scale, strict=True):
        told += [(f"label of {old.score:+d}", old.label, new.label), (f"scenario of {old.score:+d}", old.scenario, new.scenario)]
    told += _changed("dimension", _dimensions(before.dimensions), _dimensions(after.dimensions))
    told.append(("order of the dimensions", *_order(before.dimension_ids, after.dimension_ids)))
    told += _changed("example", _examples(before.examples), _examples(after.examples))
    told += _changed(
        "a verdict of",
        {verdict.value.replace("_", " "): f"{score:+d}" for verdict, score in before.verdicts.items()},
        {verdict.value.replace("_", " "): f"{score:+d}" for verdict, score in after.verdicts.items()},
    )
    return [Difference(*one) for one in told if one[1] != one[2]]


def _dimensions(dimensions: Iterable[Dimension]) -> dict[str, str]:
    return {one.id: f"{one.label}: {one.question}" for one in dimensions}


def _examples(examples: Iterable[Example]) -> dict[str, str]:
    return {one.prompt: f"{one.score:+d} “{one.answer}” {one.why}" for one in examples}


def _changed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    return [(f"{what} {name}", before.get(name), after.get(name)) for name in {**before, **after}]


def _order(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, str]:
    """Of those that both have."""
    both = set(before) & set(after)
    return ", ".join(one for one in before if one in both), ", ".join(one for one in after if one in both)
