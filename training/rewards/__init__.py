"""The rewards, a file each: what can be set, and how it is computed.

A new reward is a copy of a neighbour's file and a line in `REWARDS`. Names are dotted and no file imports a
machine-learning library before it is needed, so that the web process can check a recipe's rewards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.rewards.base import RewardPart
from training.trainers import resolve


@dataclass(frozen=True)
class RewardKind:
    """One kind of reward: its settings' class, and `build(settings, context) -> Reward`, both dotted."""

    title: str
    settings: str
    build: str


REWARDS: dict[str, RewardKind] = {
    "rubric": RewardKind(
        title="Honesty rubric",
        settings="training.rewards.rubric.RubricPart",
        build="training.rewards.rubric.build",
    ),
    "reward_model": RewardKind(
        title="Reward model or ensemble",
        settings="training.rewards.reward_model.RewardModelPart",
        build="training.rewards.reward_model.build",
    ),
    "gold": RewardKind(
        title="Gold answers",
        settings="training.rewards.gold.GoldPart",
        build="training.rewards.gold.build",
    ),
    "confidence": RewardKind(
        title="Stated confidence",
        settings="training.rewards.confidence.ConfidencePart",
        build="training.rewards.confidence.build",
    ),
    "length": RewardKind(
        title="Length",
        settings="training.rewards.length.LengthPart",
        build="training.rewards.length.build",
    ),
    "format": RewardKind(
        title="Form",
        settings="training.rewards.format.FormatPart",
        build="training.rewards.format.build",
    ),
    "diversity": RewardKind(
        title="Diversity within a group",
        settings="training.rewards.diversity.DiversityPart",
        build="training.rewards.diversity.build",
    ),
    "constitutional": RewardKind(
        title="Principles of a constitution",
        settings="training.rewards.constitutional.ConstitutionalPart",
        build="training.rewards.constitutional.build",
    ),
    "portable": RewardKind(
        title="Portable honesty reward",
        settings="training.rewards.portable.PortablePart",
        build="training.rewards.portable.build",
    ),
    "teacher": RewardKind(
        title="AI teacher",
        settings="training.rewards.teacher.TeacherPart",
        build="training.rewards.teacher.build",
    ),
}


def read_part(values: Any) -> RewardPart:
    """A part of a recipe's reward, checked by its own kind's settings. Raises ValueError (pydantic's is one)."""
    if isinstance(values, RewardPart):
        return values
    if not isinstance(values, dict):
        raise ValueError("a reward is a table with a kind")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in REWARDS:
        raise ValueError(f"unknown kind of reward “{kind}”; there are {', '.join(REWARDS)}")
    part: RewardPart = resolve(REWARDS[kind].settings).model_validate(values)
    return part
