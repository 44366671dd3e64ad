"""What one would write without this project: the same SFT run with TRL alone. `python bare_sft.py SPEC OUT`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def main(spec_path: str, out: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    set_seed(spec["seed"])
    model = AutoModelForCausalLM.from_pretrained(spec["model"]["path"], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(spec["model"]["path"])
    lines = Path(spec["data"]["train"]).read_text().splitlines()
    rows = [
        {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            "completion": [{"role": "assistant", "content": row["response"]}],
        }
        for row in map(json.loads, lines)
    ]
    names = (
        "learning_rate", "lr_scheduler_type", "warmup_steps", "max_steps", "per_device_train_batch_size", "max_length",
        "logging_steps", "save_steps", "save_total_limit",
    )  # fmt: skip
    settings = {name: spec["settings"][name] for name in names}
    arguments = SFTConfig(
        output_dir=f"{out}/checkpoints", seed=spec["seed"], use_cpu=True, bf16=False, activation_checkpointing=False,
        dataloader_pin_memory=False, report_to="none", disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    ready = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - ready
    trainer.save_model(f"{out}/model")
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    Path(out, "bare.json").write_text(
        json.dumps({"losses": losses, "startup_seconds": ready - STARTED, "train_seconds": seconds})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
