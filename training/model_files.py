"""What a model folder may hold. Pure: no Django, no machine-learning library."""

import json
from pathlib import Path

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")


def check_model_folder(folder: Path) -> str | None:
    """Why the model in `folder` must not be loaded, as a sentence for people; None when it may be.

    Weights must be safetensors (a pickle runs code when it is read), and the model must not bring code of its own.
    """
    config = folder / "config.json"
    adapter = folder / "adapter_config.json"
    if not config.is_file() and not adapter.is_file():
        return f"{folder} holds no config.json and no adapter_config.json: it is not a model folder."
    if not any((folder / name).is_file() for name in WEIGHTS):
        return f"{folder} holds no safetensors weights; convert the model with save_pretrained(safe_serialization=True)."
    code = next(folder.glob("*.py"), None)
    if code is not None:
        return f"{folder} brings Python code ({code.name}), which is never run here."
    return _problem_of_config(config) if config.is_file() else None


def _problem_of_config(config: Path) -> str | None:
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        return f"{config} is not JSON."
    if "auto_map" in values:
        return f"{config} names code to run (auto_map), which is never run here."
    return None
