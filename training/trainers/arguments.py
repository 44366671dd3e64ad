"""From our settings to the arguments that TRL's configurations share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from training.data import Form, Row
from training.folder import RunFolder
from training.loading import device_for
from training.specs import RunSpec
from training.trainers.base_config import BaseConfig

OURS = {"lora", "extra", "completions_logged", "gradient_checkpointing"}


@dataclass(frozen=True)
class TrainerInputs:
    """Everything that a trainer is built from."""

    spec: RunSpec
    folder: RunFolder
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    form: Form
    train_rows: list[Row]
    eval_rows: list[Row] | None
    callbacks: list[TrainerCallback]

    def datasets(self, convert: Callable[[Row], Row]) -> dict[str, Dataset | None]:
        """The rows as datasets, under the names that TRL's trainers take them by."""
        train = Dataset.from_list([convert(row) for row in self.train_rows])
        held_out = Dataset.from_list([convert(row) for row in self.eval_rows]) if self.eval_rows else None
        return {"train_dataset": train, "eval_dataset": held_out}


def trl_arguments(inputs: TrainerInputs) -> dict[str, Any]:
    """Keyword arguments for SFTConfig, DPOConfig or GRPOConfig; `settings.extra` adds what we have no name for.

    TRL's own defaults suit a large GPU (bfloat16, gradient checkpointing, whatever loggers are installed); here
    everything is said.
    """
    spec, settings = inputs.spec, inputs.spec.settings
    on_cpu = device_for(spec.hardware.profile).type == "cpu"
    evaluates = bool(inputs.eval_rows) and settings.eval_steps is not None
    return {
        **settings.model_dump(exclude={*OURS, "eval_steps"}),
        "output_dir": str(inputs.folder.checkpoints),
        "seed": spec.seed,
        "use_cpu": on_cpu,
        "activation_checkpointing": settings.gradient_checkpointing,  # transformers' new name for it
        "bf16": spec.hardware.precision == "bfloat16",
        "fp16": spec.hardware.precision == "float16",
        "dataloader_pin_memory": not on_cpu,
        "save_strategy": "steps",
        "eval_strategy": "steps" if evaluates else "no",
        "eval_steps": settings.eval_steps if evaluates else None,
        "logging_nan_inf_filter": False,  # else a NaN loss is replaced by a mean, and nobody sees it
        "report_to": "none",
        "disable_tqdm": True,
        **settings.extra,
    }


def peft_config(settings: BaseConfig) -> Any:
    """The LoRA configuration for peft, or None."""
    if settings.lora is None:
        return None
    # peft is slow to import and most runs need no adapter
    from peft import LoraConfig, TaskType  # noqa: PLC0415 (weight)

    lora = settings.lora
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type=TaskType.CAUSAL_LM,
    )
