"""Group relative policy optimisation with TRL, rewarded for honesty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from trl import GRPOConfig, GRPOTrainer

from training.data import prompt_row
from training.exceptions import BadSpec
from training.loading import end_ids, resolve
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
    with _reference_as_loaded(inputs, settings):
        return GRPOTrainer(
            model=inputs.model,
            reward_funcs=[honesty],
            args=GRPOConfig(**trl_arguments(inputs)),
            processing_class=inputs.tokenizer,
            peft_config=peft_config(settings),
            callbacks=inputs.callbacks,
            **inputs.datasets(prompt_row(inputs.form, REWARD_COLUMNS)),
        )


@contextmanager
def _reference_as_loaded(inputs: TrainerInputs, settings: GrpoConfig) -> Iterator[None]:
    """While a trainer is built: the path in the model's configuration is that of the model as it was loaded.

    TRL loads the reference of a KL penalty from there and takes none that is given. For a merged adapter the path is that
    of the model below, for a model made on the spot it is empty, and it knows of no revision.
    """
    config, source = inputs.model.config, inputs.spec.model
    named = config._name_or_path
    is_itself = source.path is not None and source.revision is None and named == str(resolve(source.path))
    if settings.beta == 0 or settings.lora is not None or is_itself:
        yield
        return
    with TemporaryDirectory(dir=inputs.folder.path, prefix=".reference-", ignore_cleanup_errors=True) as folder:
        inputs.model.save_pretrained(folder)
        config._name_or_path = folder
        try:
            yield
        finally:
            config._name_or_path = named
