"""The kinds of rewards as pages, API and shell list them."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc

from pydantic_core import PydanticUndefined

from training.recipes.text import shown
from training.rewards import REWARDS
from training.rewards.base import BY_THE_SITE, RewardPart
from training.rewards.principles import CHECKS
from training.trainers import resolve


@dataclass(frozen=True)
class Setting:
    """What can be set about a kind; `default` as a recipe has it, empty where it must be given or is none."""

    name: str
    default: str
    about: str
    is_required: bool


@dataclass(frozen=True)
class Kind:
    """A kind of reward: its formula with the source, and what can be set beside name and weight."""

    kind: str
    title: str
    formula: str
    settings: list[Setting]


def kinds() -> list[Kind]:
    """Every kind, in the order of the table."""
    found = []
    for kind, about in REWARDS.items():
        schema: type[RewardPart] = resolve(about.settings)
        found.append(Kind(kind, about.title, " ".join(cleandoc(schema.__doc__ or "").split()), _settings(schema)))
    return found


def _settings(schema: type[RewardPart]) -> list[Setting]:
    own = {
        name: field
        for name, field in schema.model_fields.items()
        if name not in RewardPart.model_fields and field.json_schema_extra != BY_THE_SITE
    }
    return [
        Setting(
            name=name,
            default="" if field.default in (None, PydanticUndefined) else shown(field.default),
            about=field.description or "",
            is_required=field.is_required(),
        )
        for name, field in own.items()
    ]


def checks() -> list[tuple[str, str]]:
    """The checks that principles can name: name and what is asked for."""
    return [(name, check.title) for name, check in CHECKS.items()]
