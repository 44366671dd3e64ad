"""What a run was computed with: code revision, package versions, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "rlwhf", "torch", "transformers", "trl", "datasets", "peft", "accelerate", "tokenizers", "safetensors", "numpy",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """A description that fits into JSON; what cannot be found out is None."""
    return {
        "revision": code_revision(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": _hardware(),
    }


def code_revision() -> str | None:
    """The commit of the code that runs, with "-dirty" when files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _hardware() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def _processor() -> str | None:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, None) or platform.processor() or None
    except OSError:
        return platform.processor() or None
