"""From our settings to the arguments that TRL's configurations share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, IterableDataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from training.data import Form, Row, RowStream
from training.folder import RunFolder
from training.loading import device_for, end_ids, load, weights_dtype
from training.processes import is_first
from training.rewards.base import RewardContext
from training.rewards.book import RewardBook
from training.specs import RunSpec
from training.trainers import METHODS, Task

# Settings of ours that TRL's configurations do not have; a trainer names its own in `trl_arguments(…, ours=…)`.
OURS = frozenset(
    {
        "lora", "extra", "completions_logged", "gradient_checkpointing", "ewc", "keep", "best_metric", "best_is_greater",
        "early_stopping_patience", "early_stopping_threshold", "attention", "share_prompts",
    }
)  # fmt: skip
SHUFFLE_WINDOW = 10_000  # rows
TASK_TYPES: dict[Task, str] = {"policy": "CAUSAL_LM", "reward_model": "SEQ_CLS", "process_reward_model": "TOKEN_CLS"}


@dataclass(frozen=True)
class TrainerInputs:
    """Everything that a trainer is built from."""

    spec: RunSpec
    folder: RunFolder
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    form: Form
    train_rows: Sequence[Row]
    eval_rows: list[Row] | None
    callbacks: list[TrainerCallback]

    def datasets(self, convert: Callable[[Row], Row]) -> dict[str, Dataset | None]:
        """The rows as datasets, under the names that TRL's trainers take them by."""
        if isinstance(self.train_rows, RowStream):
            train: Any = _streamed(self.train_rows, convert, self.spec.seed)
        else:
            train = Dataset.from_list([convert(row) for row in self.train_rows])
        held_out = Dataset.from_list([convert(row) for row in self.eval_rows]) if self.eval_rows else None
        return {"train_dataset": train, "eval_dataset": held_out}


def _streamed(rows: RowStream, convert: Callable[[Row], Row], seed: int) -> IterableDataset:
    """Rows as they are read, in an order drawn within a window that moves over the file."""

    def converted() -> Iterator[Row]:
        return (convert(row) for row in rows)

    return IterableDataset.from_generator(converted).shuffle(seed=seed, buffer_size=SHUFFLE_WINDOW)


def trl_arguments(inputs: TrainerInputs, *, ours: Collection[str] = ()) -> dict[str, Any]:
    """Keyword arguments for TRL's configurations: all settings but `OURS` and `ours`, under their names there.

    `settings.extra` adds what we have no name for.

    TRL's own defaults suit a large GPU (bfloat16, gradient checkpointing, whatever loggers are installed); here
    everything is said.
    """
    spec, settings = inputs.spec, inputs.spec.settings
    on_cpu = device_for(spec.hardware.profile).type == "cpu"
    evaluates = bool(inputs.eval_rows) and settings.eval_steps is not None
    return {
        **settings.model_dump(exclude={*OURS, *ours, "eval_steps"}),
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
        "load_best_model_at_end": settings.keep == "best" and evaluates,
        "metric_for_best_model": settings.best_metric,
        "greater_is_better": settings.best_is_greater,
        "logging_nan_inf_filter": False,  # else a NaN loss is replaced by a mean, and nobody sees it
        "report_to": spec.tracking.services or "none",
        "run_name": spec.name,
        "project": spec.tracking.trackio or "rlwhf",
        "disable_tqdm": True,
        **settings.extra,
    }


def peft_config(inputs: TrainerInputs) -> Any:
    """The LoRA configuration for peft, or None."""
    lora = inputs.spec.settings.lora
    if lora is None:
        return None
    # peft is slow to import and most runs need no adapter
    from peft import LoraConfig  # noqa: PLC0415 (weight)

    produces = METHODS[inputs.spec.method].produces
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        exclude_modules=["score", "classifier"] if produces == "process_reward_model" else None,  # peft trains it as it is
        task_type=TASK_TYPES[produces],
    )


def reference_model(inputs: TrainerInputs, *, precomputed: bool = False) -> PreTrainedModel | None:
    """What a method with a reference is held to; None where its trainer needs no model for it.

    It is never left to TRL, which would load it from the path in the model's configuration: for a merged adapter that is
    the path of the model below, and for a model made on the spot it is empty.
    """
    if inputs.spec.reference is not None:
        return load(inputs.spec.reference, dtype=weights_dtype(inputs.spec)).model
    return None if inputs.spec.settings.lora or precomputed else deepcopy(inputs.model)


def reward_book(inputs: TrainerInputs, *, logged: int) -> RewardBook:
    """The rewards of the run; `logged` completions of each batch of the first process go to `completions.jsonl`."""
    assert inputs.spec.reward is not None
    context = RewardContext(
        ends=frozenset(end_ids(inputs.model, inputs.tokenizer)),
        tokenizer=inputs.tokenizer,
        device=device_for(inputs.spec.hardware.profile).type,
        folder=inputs.folder.path,
    )
    completions = inputs.folder.completions if is_first() else None
    return RewardBook(inputs.spec.reward.parts, context, completions=completions, logged=logged)
