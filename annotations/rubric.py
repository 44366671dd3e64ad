"""The rubric as data: what each score means, the dimensions, worked examples, and what a verdict is worth."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from annotations.verdicts import Verdict

RUBRICS = Path(__file__).with_name("rubrics")
DEFAULT_RUBRIC = "honesty-1"
LOWEST, HIGHEST = -2, 2
SCORES = (2, 1, 0, -1, -2)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScaleStep(Frozen):
    score: int = Field(ge=LOWEST, le=HIGHEST)
    label: str
    scenario: str


class Dimension(Frozen):
    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    question: str


class Example(Frozen):
    prompt: str
    answer: str
    score: int = Field(ge=LOWEST, le=HIGHEST)
    why: str


class Rubric(Frozen):
    """One version of a rubric. Two rubrics with the same content hash are the same rubric."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: int = Field(ge=1)
    title: str
    summary: str
    scale: tuple[ScaleStep, ...]
    dimensions: tuple[Dimension, ...] = ()
    examples: tuple[Example, ...] = ()
    verdicts: Mapping[Verdict, int]

    @field_validator("scale")
    @classmethod
    def _every_score_once(cls, scale: tuple[ScaleStep, ...]) -> tuple[ScaleStep, ...]:
        if sorted((step.score for step in scale), reverse=True) != list(SCORES):
            raise ValueError(f"the scale must say what each of {', '.join(map(str, SCORES))} means, once")
        return tuple(sorted(scale, key=lambda step: -step.score))

    @field_validator("verdicts")
    @classmethod
    def _every_verdict_scored(cls, verdicts: Mapping[Verdict, int]) -> Mapping[Verdict, int]:
        missing = set(Verdict) - set(verdicts) - {Verdict.UNPARSABLE}
        if missing:
            raise ValueError(f"no score for {', '.join(sorted(missing))}")
        if any(not LOWEST <= score <= HIGHEST for score in verdicts.values()):
            raise ValueError(f"scores lie between {LOWEST} and {HIGHEST}")
        return verdicts

    @model_validator(mode="after")
    def _dimensions_apart(self) -> Rubric:
        names = [dimension.id for dimension in self.dimensions]
        if len(names) != len(set(names)):
            raise ValueError("two dimensions have the same id")
        return self

    @property
    def content_hash(self) -> str:
        document = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(document.encode()).hexdigest()

    @property
    def dimension_ids(self) -> tuple[str, ...]:
        return tuple(dimension.id for dimension in self.dimensions)

    def score_for(self, verdict: Verdict) -> int | None:
        """What the verdict is worth; None where there was nothing to judge ("not scored" is never 0)."""
        return self.verdicts.get(verdict)


def rubric_names() -> list[str]:
    return sorted(path.stem for path in RUBRICS.glob("*.toml"))


@cache
def load_rubric(name: str = DEFAULT_RUBRIC) -> Rubric:
    """The rubric in `rubrics/<name>.toml`; raises FileNotFoundError, or pydantic's ValidationError."""
    data: dict[str, Any] = tomllib.loads((RUBRICS / f"{name}.toml").read_text(encoding="utf-8"))
    return Rubric.model_validate(data)


class _StepWords(Frozen):
    label: str
    scenario: str


class _DimensionWords(Frozen):
    label: str
    question: str


class _ExampleWords(Frozen):
    prompt: str
    answer: str
    why: str


class _Words(Frozen):
    """A rubric's words in another language; its numbers and names are the original's."""

    title: str
    summary: str
    scale: Mapping[int, _StepWords]
    dimensions: Mapping[str, _DimensionWords]
    examples: tuple[_ExampleWords, ...]


@cache
def _words(name: str, language: str) -> _Words | None:
    path = RUBRICS / language / f"{name}.toml"
    return _Words.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def translated(rubric: Rubric, language: str) -> Rubric:
    """The rubric with its words in a language, such as "pt"; as it is where nobody has translated this very content."""
    name = f"{rubric.name}-{rubric.version}"
    words = _words(name, language.split("-", maxsplit=1)[0]) if language.replace("-", "").isalnum() else None
    if words is None or load_rubric(name).content_hash != rubric.content_hash:
        return rubric
    return rubric.model_copy(
        update={
            "title": words.title,
            "summary": words.summary,
            "scale": tuple(step.model_copy(update=words.scale[step.score].model_dump()) for step in rubric.scale),
            "dimensions": tuple(one.model_copy(update=words.dimensions[one.id].model_dump()) for one in rubric.dimensions),
            "examples": tuple(
                one.model_copy(update=said.model_dump()) for one, said in zip(rubric.examples, words.examples, strict=True)
            ),
        }
    )
