"""Direct preference optimisation with TRL."""

from __future__ import annotations

from copy import deepcopy

from transformers import PreTrainedModel
from trl import DPOConfig, DPOTrainer

from training.data import preference_row
from training.trainers.arguments import TrainerInputs, peft_config, trl_arguments
from training.trainers.dpo_config import DpoConfig


def build(inputs: TrainerInputs) -> DPOTrainer:
    """A trainer, ready to run."""
    return DPOTrainer(
        model=inputs.model,
        ref_model=_reference(inputs),
        args=DPOConfig(**trl_arguments(inputs)),
        processing_class=inputs.tokenizer,
        peft_config=peft_config(inputs.spec.settings),
        callbacks=inputs.callbacks,
        **inputs.datasets(preference_row(inputs.form)),
    )


def _reference(inputs: TrainerInputs) -> PreTrainedModel | None:
    """The model as it was before training; None where TRL needs none.

    Left to itself TRL would load it from the path in the model's configuration, which for a merged adapter is that of
    the model below, and for a model made on the spot is empty.
    """
    settings = inputs.spec.settings
    assert isinstance(settings, DpoConfig)
    return None if settings.lora or settings.precompute_ref_log_probs else deepcopy(inputs.model)
