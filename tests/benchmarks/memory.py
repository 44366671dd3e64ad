"""What runs take, beside what was estimated: `python -m tests.benchmarks.memory [NAME…]`.

Each configuration is a real run of two or three steps in a process of its own, on models made on the spot; measured is that
process's peak resident memory, as it tells itself at its end. One thread, float32 unless said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.child import RESULT
from training.hardware.lengths import lengths_of
from training.hardware.memory import Estimate, Models, estimate
from training.hardware.sizes import size_of_folder
from training.specs import RunSpec, write_spec
from training.trainers import METHODS

ROOT = Path(__file__).parents[2]
MIB = 2**20
ROWS = 64


@dataclass(frozen=True)
class Shape:
    """A Llama: its widths, and how large its vocabulary is."""

    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    heads: int


SMALL = Shape(384, 1536, 6, 16_000, 8)  # 20 M
MIDDLE = Shape(768, 2048, 10, 32_000, 12)  # 95 M
LARGE = Shape(1024, 2816, 13, 32_000, 16)  # 200 M


@dataclass(frozen=True)
class Configuration:
    method: str
    shape: Shape
    settings: Mapping[str, Any]
    prompt_words: int = 120
    answer_words: int = 60
    more: Mapping[str, Any] = field(default_factory=dict)
    teacher: Shape | None = None


LORA = {"lora": {"r": 16}}
CONFIGURATIONS: dict[str, Configuration] = {
    "sft-20M": Configuration("sft", SMALL, {"per_device_train_batch_size": 4}),
    "sft-20M-batch-16": Configuration("sft", SMALL, {"per_device_train_batch_size": 16}),
    "sft-20M-accumulated": Configuration("sft", SMALL, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}),
    "sft-20M-checkpointing": Configuration("sft", SMALL, {"per_device_train_batch_size": 16, "gradient_checkpointing": True}),
    "sft-95M": Configuration("sft", MIDDLE, {"per_device_train_batch_size": 4}),
    "sft-200M": Configuration("sft", LARGE, {"per_device_train_batch_size": 1}),
    "sft-95M-lora": Configuration("sft", MIDDLE, {"per_device_train_batch_size": 4, **LORA}),
    "sft-95M-sgd": Configuration("sft", MIDDLE, {"per_device_train_batch_size": 2, "optim": "sgd"}),
    "sft-95M-nf4": Configuration("sft", MIDDLE, {"per_device_train_batch_size": 2, "lora": {"r": 16, "quantize": "nf4"}}),
    "dpo-20M": Configuration("dpo", SMALL, {"per_device_train_batch_size": 4, "precompute_ref_log_probs": "off"}),
    "orpo-20M": Configuration("orpo", SMALL, {"per_device_train_batch_size": 4}),
    "rm-20M": Configuration("rm", SMALL, {"per_device_train_batch_size": 4}),
    "grpo-20M": Configuration(
        "grpo", SMALL, {"per_device_train_batch_size": 8, "num_generations": 8, "max_completion_length": 64}
    ),
    "ppo-20M": Configuration("ppo", SMALL, {"per_device_train_batch_size": 4, "max_completion_length": 64}),
    "gkd-20M": Configuration("gkd", SMALL, {"per_device_train_batch_size": 2, "lmbda": 0.0}, teacher=SMALL),
    "offline-grpo-20M": Configuration("offline-grpo", SMALL, {"per_device_train_batch_size": 1}),
}


@dataclass(frozen=True)
class Measured:
    """Peak bytes, as measured and as estimated before."""

    name: str
    peak: int
    estimated: Estimate

    @property
    def error(self) -> float:
        """By how much the estimate is above what was measured, as a share of that."""
        return self.estimated.peak / self.peak - 1


def model_at(folder: Path, shape: Shape) -> Path:
    """A model with random weights, and a tokenizer that knows the words of the rows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from training.scratch import make_tokenizer
    from training.specs import ScratchModel

    if folder.is_dir():
        return folder
    texts = [f"Number {n}: word answer" for n in range(200)]
    tokenizer = make_tokenizer(texts, ScratchModel(vocab_size=400, max_position_embeddings=1024))
    config = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def row(kind: str, number: int, one: Configuration) -> dict[str, Any]:
    """A row of a kind of dataset; all are about as long."""
    prompt, answer = f"Number {number}: " + "word " * one.prompt_words, "answer " * one.answer_words
    if kind == "preference":
        return {"prompt": prompt, "chosen": f"{answer}{number}", "rejected": f"{answer}{number + 1}"}
    if kind == "prompts":
        return {"prompt": prompt, "gold_answer": "answer", "verifiable": True}
    if kind == "scored":
        return {"prompt": prompt.replace(str(number), str(number // 2)), "response": f"{answer}{number}", "reward": number % 2}
    return {"prompt": prompt, "response": f"{answer}{number}"}


def spec_of(one: Configuration, models: Path) -> RunSpec:
    values = {
        "name": "measured", "method": one.method, "model": {"path": str(model_at(models / _name(one.shape), one.shape))},
        "data": {"train": "train.jsonl"}, "settings": {"max_steps": 2, "logging_steps": 1, "learning_rate": 1e-5, **one.settings},
        "hardware": {"threads": 1}, **one.more,
    }  # fmt: skip
    if one.teacher is not None:
        values["teacher"] = {"path": str(model_at(models / f"{_name(one.teacher)}-teacher", one.teacher))}
    return RunSpec.model_validate(values)


def _name(shape: Shape) -> str:
    return f"{shape.hidden}-{shape.layers}-{shape.vocabulary}"


def measure(name: str, folder: Path, models: Path) -> Measured:
    """Estimate a configuration, then carry it out. Raises RuntimeError where the run fails."""
    one = CONFIGURATIONS[name]
    folder.mkdir(parents=True)
    spec = spec_of(one, models)
    kind = METHODS[one.method].dataset_kind
    lines = "".join(json.dumps(row(kind, number, one)) + "\n" for number in range(ROWS))
    (folder / "train.jsonl").write_text(lines, encoding="utf-8")
    model = Path(str(spec.model.path))
    teacher = size_of_folder(Path(spec.teacher.path)) if spec.teacher and spec.teacher.path else None
    held = Models(size_of_folder(model), teacher=teacher)
    estimated = estimate(spec, held, lengths_of(folder / "train.jsonl", model))
    write_spec(spec, folder)
    return Measured(name, peak_of([sys.executable, "-m", "training.execute", str(folder)], folder), estimated)


def peak_of(command: Sequence[str], folder: Path) -> int:
    """Carry out a run; the most resident memory that its process held at once, in bytes, as its result tells. What wait4(2) tells
    would be no less than what the process held that started it.
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        child.wait()
    if child.returncode:
        raise RuntimeError((folder / "log.txt").read_text(encoding="utf-8")[-2000:])
    return int(json.loads((folder / RESULT).read_text(encoding="utf-8"))["peak_memory_bytes"])


def main(names: list[str]) -> None:
    worst = 0.0
    print(f"{'configuration':24} {'measured':>9} {'estimated':>9} {'error':>7}  parts, MiB")
    with tempfile.TemporaryDirectory() as scratch:
        for name in names or list(CONFIGURATIONS):
            found = measure(name, Path(scratch) / name, Path(scratch) / "models")
            worst = max(worst, abs(found.error))
            parts = ", ".join(f"{part} {size // MIB}" for part, size in found.estimated.parts.items())
            sizes = f"{found.peak // MIB:9} {found.estimated.peak // MIB:9}"
            print(f"{name:24} {sizes} {100 * found.error:+6.1f}%  {parts}", flush=True)
    print(f"The largest error is {100 * worst:.1f} %.")


if __name__ == "__main__":
    main(sys.argv[1:])
