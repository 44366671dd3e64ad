"""The training methods, one pair of files each: what can be set (no torch) and how it is trained (TRL).

A new method is a copy of a neighbour's two files and a line in `METHODS`. Names are dotted, so that reading this
table imports no machine-learning library.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Method:
    """One training method: where its configuration and its trainer live, the kind of dataset it reads, and the
    columns that its rows must have.
    """

    title: str
    config: str
    trainer: str
    dataset_kind: str
    columns: tuple[str, ...]


METHODS: dict[str, Method] = {
    "sft": Method(
        title="Supervised fine-tuning",
        config="training.trainers.sft_config.SftConfig",
        trainer="training.trainers.sft_trainer.build",
        dataset_kind="sft",
        columns=("prompt", "response"),
    ),
    "dpo": Method(
        title="Direct preference optimisation",
        config="training.trainers.dpo_config.DpoConfig",
        trainer="training.trainers.dpo_trainer.build",
        dataset_kind="preference",
        columns=("prompt", "chosen", "rejected"),
    ),
    "grpo": Method(
        title="Group relative policy optimisation",
        config="training.trainers.grpo_config.GrpoConfig",
        trainer="training.trainers.grpo_trainer.build",
        dataset_kind="prompts",
        columns=("prompt",),
    ),
}


def resolve(dotted: str) -> Any:
    """The object that a dotted name stands for."""
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)
