"""The environment that ms-swift runs in: one of its own, for its pins and ours exclude each other.

`RLWHF_SWIFT_PYTHON` names the interpreter of one that somebody made by hand, as for vLLM, Megatron or an Ascend NPU; it is used
as it is. Only the standard library is needed here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training import virtual_environments
from training.virtual_environments import EnvironmentFailed, Progress, VirtualEnvironment

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
PYTHON_VARIABLE: Final = "RLWHF_SWIFT_PYTHON"
SIZE_BYTES: Final = 2_100_000_000
"""What it takes on disk with PyTorch for processors; about three times as much with CUDA."""


@dataclass(frozen=True)
class Environment:
    """Where the environment lies, or would. `managed`: made by us, not named by a person."""

    python: Path
    managed: bool

    @property
    def folder(self) -> Path:
        return self.python.parent.parent

    @property
    def is_ready(self) -> bool:
        """Whether it was made to its end."""
        return _managed().is_ready if self.managed else self.python.is_file()

    def described(self) -> dict[str, Any]:
        """For people and programs: fits into JSON."""
        return {
            "folder": str(self.folder),
            "python": str(self.python),
            "managed": self.managed,
            "ready": self.is_ready,
            "packages": len(packages()),
            "ms-swift": version_wanted(),
            **({"made": _managed().made} if self.managed and self.is_ready else {}),
        }


def environment() -> Environment:
    """The environment that this process would use."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return Environment(Path(named).absolute(), managed=False)
    return Environment(_managed().python, managed=True)


def packages() -> list[str]:
    """Every package with its exact version, as pip takes it."""
    return _managed().packages


def version_wanted() -> str:
    """The version of ms-swift that the backend is written for."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2].strip() for line in lines if line.startswith("ms_swift=="))


def ensure(progress: Progress) -> Environment:
    """The environment, made first where it is not there. Raises EnvironmentFailed."""
    found = environment()
    if found.managed:
        virtual_environments.ensure(_managed(), progress)
    elif not found.is_ready:
        raise EnvironmentFailed(
            f"{PYTHON_VARIABLE} is {found.python}, and there is no such file.", "Correct it, or leave it away."
        )
    return found


def _managed() -> VirtualEnvironment:
    return VirtualEnvironment(
        name=f"ms-swift-{version_wanted()}",
        title="ms-swift",
        requirements=REQUIREMENTS,
        probe="import swift; print(swift.__version__)",
        size_bytes=SIZE_BYTES,
        complete=False,  # PyTorch brings other packages along on a machine with a card
    )
