"""Group relative policy optimisation with TRL, rewarded for honesty."""

from __future__ import annotations

from trl import GRPOConfig, GRPOTrainer

from training.data import prompt_row
from training.exceptions import BadSpec
from training.loading import end_ids
from training.rewards.honesty import REWARD_COLUMNS, HonestyReward
from training.rewards.shapes import load_shape
from training.trainers.arguments import TrainerInputs, peft_config, trl_arguments
from training.trainers.grpo_config import GrpoConfig


def build(inputs: TrainerInputs) -> GRPOTrainer:
    """A trainer, ready to run."""
    settings, reward = inputs.spec.settings, inputs.spec.reward
    assert isinstance(settings, GrpoConfig)
    if reward is None:
        raise BadSpec("GRPO needs a reward.", "Name a shape, such as “honesty”.")
    honesty = HonestyReward(
        shape=load_shape(reward.shape),
        ends=end_ids(inputs.model, inputs.tokenizer),
        completions=inputs.folder.completions,
        logged=settings.completions_logged,
    )
    return GRPOTrainer(
        model=inputs.model,
        reward_funcs=[honesty],
        args=GRPOConfig(**trl_arguments(inputs)),
        processing_class=inputs.tokenizer,
        peft_config=peft_config(settings),
        callbacks=inputs.callbacks,
        **inputs.datasets(prompt_row(inputs.form, REWARD_COLUMNS)),
    )
