"""Settings of group relative policy optimisation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from training.trainers.base_config import BaseConfig


class GrpoConfig(BaseConfig):
    """Sample a group of answers per prompt, reward them, and make the better ones of each group likelier
    (Shao et al. 2024, arXiv:2402.03300). The batch size counts completions, not prompts.
    """

    learning_rate: float = Field(1e-6, gt=0)
    num_generations: int = Field(8, ge=2, description="Answers sampled per prompt.")
    max_completion_length: int = Field(256, ge=1, description="Tokens an answer may have.")
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    beta: float = Field(0.0, ge=0, description="Weight of the KL penalty; 0: none, and no reference model.")
    epsilon: float = Field(0.2, gt=0)
    num_iterations: int = Field(1, ge=1, description="Times each batch of answers is learnt from.")
    loss_type: Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    importance_sampling_level: Literal["token", "sequence"] = Field("token", description="“sequence” is GSPO.")
    scale_rewards: Literal["group", "batch", "none"] = "group"
    completions_logged: int = Field(8, ge=0, description="Completions written to completions.jsonl per batch.")

    @model_validator(mode="after")
    def groups_fill_a_batch(self) -> Self:
        batch = self.per_device_train_batch_size * self.gradient_accumulation_steps
        if batch % self.num_generations:
            raise ValueError(f"a batch of {batch} completions does not hold whole groups of {self.num_generations}")
        return self
