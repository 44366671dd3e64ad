"""Settings of supervised fine-tuning."""

from __future__ import annotations

from pydantic import Field

from training.trainers.base_config import BaseConfig


class SftConfig(BaseConfig):
    """Learn to give the response that each row has for its prompt; the loss counts response tokens only."""

    learning_rate: float = Field(2e-5, gt=0)
    max_length: int = Field(1024, ge=8, description="Tokens a row may have; longer ones are cut.")
    packing: bool = Field(False, description="Several rows in one sequence.")
