"""Settings of direct preference optimisation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from training.trainers.base_config import BaseConfig

Loss = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
]  # fmt: skip


class DpoConfig(BaseConfig):
    """Prefer each row's chosen answer over its rejected one (Rafailov et al. 2023, arXiv:2305.18290).

    The default adds an SFT term on the chosen answers: the plain loss only widens the gap between the two, and can
    do so while both become unlikely, until the text breaks.
    """

    learning_rate: float = Field(1e-6, gt=0)
    beta: float = Field(0.1, gt=0, description="How strongly the reference model holds the trained one back.")
    loss_type: list[Loss] = Field(default=["sigmoid", "sft"], min_length=1)
    loss_weights: list[float] | None = Field(default=[1.0, 1.0], description="One weight per loss; None: all 1.")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    max_length: int = Field(1024, ge=8, description="Tokens a prompt and answer may have; longer ones are cut.")
    precompute_ref_log_probs: bool = Field(False, description="Run the reference model once, before training.")

    @model_validator(mode="after")
    def one_weight_per_loss(self) -> Self:
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss_type):
            raise ValueError(f"{len(self.loss_weights)} loss weights for {len(self.loss_type)} losses")
        return self
