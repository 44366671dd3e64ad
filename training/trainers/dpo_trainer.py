"""Direct preference optimisation with TRL."""

from __future__ import annotations

from trl import DPOConfig, DPOTrainer

from training.data import preference_row
from training.trainers.arguments import TrainerInputs, peft_config, trl_arguments


def build(inputs: TrainerInputs) -> DPOTrainer:
    """A trainer, ready to run."""
    return DPOTrainer(
        model=inputs.model,
        args=DPOConfig(**trl_arguments(inputs)),
        processing_class=inputs.tokenizer,
        peft_config=peft_config(inputs.spec.settings),
        callbacks=inputs.callbacks,
        **inputs.datasets(preference_row(inputs.form)),
    )
