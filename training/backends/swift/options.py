"""From a run's specification to the arguments of ms-swift 4.6, and what it has no word for.

Whatever is set and cannot be said to ms-swift is refused: a setting that is quietly left out would make another run of it.
`backend_options` reaches all of ms-swift's own arguments that are not the run's to choose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from training.exceptions import BadSpec
from training.specs import RunSpec
from training.trainers.base_config import BaseConfig, LoraConfig
from training.trainers.sampling_config import SamplingConfig

Command = Literal["sft", "rlhf"]


class Refused(BadSpec):
    """What ms-swift cannot do; `field` names what to change."""

    def __init__(self, field: str, reason: str, hint: str = "") -> None:
        super().__init__(reason, hint or "Change it, or train with the backend “trl”.")
        self.field = field


@dataclass(frozen=True)
class SwiftMethod:
    """A method as ms-swift has it: its command, the settings that it knows, by its names for them, and what is said besides."""

    command: Command
    renamed: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


PAIRS: Final = _same("max_length", "beta")
SAMPLED: Final = _same(
    "num_generations", "max_completion_length", "temperature", "top_p", "beta", "epsilon", "epsilon_high", "num_iterations",
    "steps_per_generation",
)  # fmt: skip
GROUPS: Final = {**SAMPLED, **_same("loss_type", "importance_sampling_level", "scale_rewards")}
SWIFT_METHODS: Final[dict[str, SwiftMethod]] = {
    "sft": SwiftMethod("sft", _same("max_length", "packing")),
    "rm": SwiftMethod("rlhf", _same("max_length", "center_rewards_coefficient"), {"rlhf_type": "rm"}),
    "dpo": SwiftMethod(
        "rlhf",
        {**PAIRS, **_same("loss_type", "loss_weights", "label_smoothing", "ld_alpha", "discopop_tau")},
        {"rlhf_type": "dpo"},
    ),
    "orpo": SwiftMethod("rlhf", PAIRS, {"rlhf_type": "orpo"}),
    "cpo": SwiftMethod("rlhf", {**PAIRS, **_same("loss_type", "label_smoothing", "cpo_alpha")}, {"rlhf_type": "cpo"}),
    "simpo": SwiftMethod("rlhf", {**PAIRS, **_same("simpo_gamma", "label_smoothing", "cpo_alpha")}, {"rlhf_type": "simpo"}),
    "kto": SwiftMethod("rlhf", {**PAIRS, **_same("loss_type", "undesirable_weight")}, {"rlhf_type": "kto"}),
    "grpo": SwiftMethod("rlhf", GROUPS, {"rlhf_type": "grpo"}),
    "gspo": SwiftMethod("rlhf", GROUPS, {"rlhf_type": "grpo"}),
    "rloo": SwiftMethod(
        "rlhf", SAMPLED, {"rlhf_type": "grpo", "advantage_estimator": "rloo", "kl_in_reward": True, "loss_type": "grpo"}
    ),
    "gkd": SwiftMethod(
        "rlhf",
        {**PAIRS, **_same("lmbda", "temperature"), "max_new_tokens": "max_completion_length"},
        {"rlhf_type": "gkd"},
    ),
}
WHY_NOT: Final = {
    "ppo": "its PPO takes reward models only, and does not end at max_steps",
    "prm": "it has no process reward models to train",
}
# Settings of all methods that ms-swift knows by the same name.
SHARED: Final = frozenset(
    {
        "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "adam_beta2", "max_grad_norm", "max_steps",
        "num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps",
        "gradient_checkpointing", "logging_steps", "save_steps", "save_total_limit", "optim", "optim_args",
        "optim_target_modules", "torch_compile",
    }
)  # fmt: skip
# Settings that the functions below say in ms-swift's words, or carry out themselves.
SAID_OTHERWISE: Final = frozenset(
    {
        "lora", "attention", "eval_steps", "keep", "best_metric", "best_is_greater", "early_stopping_patience",
        "early_stopping_threshold", "truncation_side", "completions_logged", "desirable_weight", "margin",
    }
)  # fmt: skip
# What changes how fast a run is and nothing that it computes.
NO_MATTER: Final = frozenset({"share_prompts"})
# For ms-swift's command, whose loss types are free texts, so that its own parser lets a misspelt one pass.
GROUP_LOSSES: Final = frozenset({"grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo"})
PAIR_LOSSES_LACKING: Final = frozenset({"sigmoid_norm"})

# Arguments that are not for a run to choose: where it reads and writes, what code it loads, whom it tells.
RESERVED: Final = frozenset(
    {
        "model", "model_revision", "dataset", "val_dataset", "cached_dataset", "cached_val_dataset", "custom_dataset_info",
        "output_dir", "logging_dir", "add_version", "resume_from_checkpoint", "resume_only_model", "external_plugins",
        "custom_register_path", "callbacks", "reward_funcs", "reward_weights", "reward_model", "reward_model_plugin",
        "reward_adapters", "ref_model", "ref_adapters", "teacher_model", "teacher_adapters", "adapters", "seed", "data_seed",
        "report_to", "run_name", "load_args", "load_data_args", "check_model", "use_hf", "hub_token", "push_to_hub",
        "model_kwargs", "local_repo_path", "strict", "ignore_args_error", "logging_nan_inf_filter", "rlhf_type", "columns",
        "use_ray", "async_generate", "log_completions", "save_only_model", "ignore_data_skip", "eval_use_evalscope",
        "eval_dataset",
        "gym_env", "use_gym_env", "save_strategy", "eval_strategy", "use_flash_ckpt",
    }
)  # fmt: skip
OPTION: Final = re.compile(r"[a-z][A-Za-z0-9_]*")
RESERVED_STARTS: Final = ("hub_", "push_", "swanlab_", "vllm_server_", "teacher_model_server", "wandb_", "ray_")
DTYPES: Final = {"float32": "float32", "bfloat16": "bfloat16", "float16": "float16"}
QUANTIZED: Final = {"nf4": 4, "int8": 8}


def check(spec: RunSpec) -> None:
    """Raise Refused for what ms-swift cannot do, by the specification alone."""
    if spec.method not in SWIFT_METHODS:
        why = WHY_NOT.get(spec.method, "it has no such method")
        raise Refused("backend", f"ms-swift does not train {spec.method.upper()} here: {why}.", "Take the backend “trl”.")
    _check_settings(spec)
    _check_models(spec)
    _check_options(spec)
    _check_values(spec)
    if spec.reward is not None and any(part.kind == "teacher" for part in spec.reward.parts):
        raise Refused("reward", "ms-swift's environment cannot ask an AI teacher.", "Take the backend “trl”.")
    for service in spec.tracking.services:
        if service != "tensorboard":
            raise Refused(
                f"tracking.{service}", f"ms-swift's environment has no {service}.", "Leave it off, or take tensorboard."
            )


def _check_settings(spec: RunSpec) -> None:
    settings, method = spec.settings, SWIFT_METHODS[spec.method]
    known = SHARED | SAID_OTHERWISE | NO_MATTER | set(method.renamed)
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name in known or value == info.get_default(call_default_factory=True):
            continue
        if name == "precompute_ref_log_probs" and value != "on":
            continue
        if name == "normalize_advantages":  # said by scale_rewards
            continue
        raise Refused(f"settings.{name}", f"ms-swift has no word for {name}{_instead(name)}.")
    losses = getattr(settings, "loss_type", None)
    if isinstance(settings, SamplingConfig) and losses is not None and losses not in GROUP_LOSSES:
        raise Refused("settings.loss_type", f"ms-swift has no loss {losses}; it has {', '.join(sorted(GROUP_LOSSES))}.")
    if isinstance(losses, list) and (lacking := PAIR_LOSSES_LACKING & set(losses)):
        raise Refused("settings.loss_type", f"ms-swift has no loss {', '.join(lacking)}.")
    if spec.method in ("sft", "gkd") and spec.data.streaming and getattr(settings, "packing", False):
        raise Refused("settings.packing", "ms-swift does not pack a file that is streamed.")


def _instead(name: str) -> str:
    """Where what TRL calls `extra` goes, and rounds of review."""
    if name == "extra":
        return ", which is for TRL's own arguments: its own go into backend_options"
    return ": its conversations of several turns are backend_options.multi_turn_scheduler" if name == "review" else ""


def _check_models(spec: RunSpec) -> None:
    if spec.settings.lora is not None and spec.reference is not None:
        raise Refused("reference", "ms-swift holds an adapter to the model below it: leave the reference out.")
    if spec.settings.lora is not None and spec.model.scratch is not None:
        raise Refused("settings.lora", "An adapter of a model made from scratch would have nothing to be loaded onto.")
    if spec.model.revision is not None:
        raise Refused("model.revision", "ms-swift trains what is on this machine: name the folder of that revision.")


def _check_options(spec: RunSpec) -> None:
    for name in spec.backend_options:
        if not OPTION.fullmatch(name):
            raise Refused("backend_options", f"“{name}” is no name of an argument: write letters, digits and “_”.", " ")
        if _is_reserved(name.removeprefix("no_")):
            raise Refused(f"backend_options.{name}", f"“{name}” is not for a run to choose.", "Leave it out.")
        if name in type(spec.settings).model_fields and name not in ("loss_type", "margin"):
            raise Refused(f"backend_options.{name}", f"“{name}” is a setting of its own: write settings.{name}.", " ")


def _is_reserved(name: str) -> bool:
    """Also a name's beginning, which ms-swift's command takes for the whole of it."""
    return name.startswith(RESERVED_STARTS) or any(one.startswith(name) for one in (*RESERVED, *RESERVED_STARTS))


def _check_values(spec: RunSpec) -> None:
    """ms-swift puts all arguments on one command line, where a value that looks like an argument is one."""
    for name, value in swift_arguments(spec, parts=[], evaluates=True).items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one.startswith("-"):
                field = f"backend_options.{name}" if name in spec.backend_options else "settings"
                raise Refused(field, f"“{one}” cannot be said to ms-swift: it would take it for an argument of its own.", " ")


def swift_arguments(spec: RunSpec, *, parts: list[str], evaluates: bool) -> dict[str, Any]:
    """All that the specification says, as ms-swift's own arguments, but for what lies where (`job.py` adds that).

    `parts` are the names of the reward functions that the plug-in registers; `evaluates`: there are held-out rows.
    """
    settings, method = spec.settings, SWIFT_METHODS[spec.method]
    named = {name: getattr(settings, name) for name in sorted(SHARED)}
    named |= {theirs: getattr(settings, ours) for ours, theirs in method.renamed.items() if hasattr(settings, ours)}
    arguments = {
        **named,
        **method.values,
        **_tuner(settings.lora),
        **_precision(spec),
        **_lengths(spec),
        **_evaluation(settings, evaluates=evaluates),
        **_rewards(spec, parts),
        **_distribution(spec),
        "seed": spec.seed,
        "data_seed": spec.seed,
        "attn_impl": None if settings.attention == "auto" else settings.attention,
        "report_to": "tensorboard" if spec.tracking.tensorboard else "none",
        "streaming": True if spec.data.streaming else None,
        "use_cpu": True if spec.hardware.profile == "cpu" else None,
        # A process for reading rows is worth its start only where a device waits for them.
        "dataloader_num_workers": 0 if spec.hardware.profile == "cpu" else 1,
        "loss_scale": "last_round",
        "logging_first_step": False,
        "logging_nan_inf_filter": False,  # else a NaN loss is replaced by a mean, and nobody sees it
        "save_strategy": "steps",
        "strict": True,  # else a row that it cannot read is left out, and nobody is told
        "lazy_tokenize": False,
        "split_dataset_ratio": 0,
        "check_model": False,  # which asks the hub
        "use_hf": True,
        "load_args": False,  # a model's folder may name plug-ins to load
        "add_version": False,
    }
    return {name: value for name, value in (arguments | spec.backend_options).items() if value is not None}


def _tuner(lora: LoraConfig | None) -> dict[str, Any]:
    if lora is None:
        return {"tuner_type": "full"}
    layers = [lora.target_modules] if isinstance(lora.target_modules, str) else lora.target_modules
    return {
        "tuner_type": "lora",
        "lora_rank": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": layers,
        "lorap_lr_ratio": lora.plus_ratio,
        "use_dora": lora.dora,
        "use_rslora": lora.rslora,
        "quant_method": "bnb" if lora.quantize else None,
        "quant_bits": QUANTIZED[lora.quantize] if lora.quantize else None,
    }


def _precision(spec: RunSpec) -> dict[str, Any]:
    """Weights that are trained stay in float32, and autocast computes in less; frozen ones below an adapter need not."""
    precision = spec.hardware.precision
    return {
        "torch_dtype": DTYPES[precision] if spec.settings.lora is not None else "float32",
        "bf16": precision == "bfloat16",
        "fp16": precision == "float16",
    }


def _lengths(spec: RunSpec) -> dict[str, Any]:
    """Which end of what is too long is cut; ms-swift by itself would leave such rows out."""
    if isinstance(spec.settings, SamplingConfig):
        return {"truncation_strategy": "left"}
    return {"truncation_strategy": getattr(spec.settings, "truncation_side", "right")}


def _evaluation(settings: BaseConfig, *, evaluates: bool) -> dict[str, Any]:
    if settings.eval_steps is None or not evaluates:
        return {"eval_strategy": "no"}
    return {
        "eval_strategy": "steps",
        "eval_steps": settings.eval_steps,
        "metric_for_best_model": settings.best_metric,
        "greater_is_better": settings.best_is_greater,
    }


def _rewards(spec: RunSpec, parts: list[str]) -> dict[str, Any]:
    if spec.reward is None:
        return {}
    said: dict[str, Any] = {"reward_funcs": parts, "reward_weights": [part.weight for part in spec.reward.parts]}
    if spec.reward.aggregation == "normalize_then_sum":
        said["scale_rewards"] = "gdpo"
    elif spec.method == "rloo":
        said["scale_rewards"] = "batch" if getattr(spec.settings, "normalize_advantages", False) else "none"
    return said


def _distribution(spec: RunSpec) -> dict[str, Any]:
    asked = spec.hardware.distributed
    if asked is None:
        return {}
    if asked.strategy == "deepspeed":
        return {"deepspeed": f"zero{asked.zero_stage}{'' if asked.offload == 'none' else '_offload'}"}
    if asked.strategy == "fsdp":
        return {"fsdp": "fsdp2"}
    return {"ddp_backend": "gloo"} if spec.hardware.profile == "cpu" and asked.world_size > 1 else {}
