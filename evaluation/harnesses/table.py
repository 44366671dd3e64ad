"""The harnesses there are. Light: the web process reads it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import StringConstraints

HarnessName = Literal["inspect", "lm-eval", "evalscope"]
TaskName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120)]
"""A task of a harness' own, by name: never a path, whose file could hold code."""


@dataclass(frozen=True)
class Harness:
    """One harness at the version that its driver is written for. `environment` is the name of what it runs in."""

    title: str
    package: str
    version: str
    driver: str
    environment: str
    takes_conversations: bool = True
    rounding: float = 1e-6
    """How far its figures may be from those of its answers; EvalScope's have four digits."""


HARNESSES: Mapping[HarnessName, Harness] = {
    "inspect": Harness(
        "Inspect", "inspect-ai", "0.3.285", "evaluation.harnesses.inspect_driver", "harness"
    ),
    "lm-eval": Harness(
        "lm-eval", "lm-eval", "0.4.13", "evaluation.harnesses.lm_eval_driver", "harness",
        takes_conversations=False,
    ),
    "evalscope": Harness(
        "EvalScope", "evalscope", "1.14.1", "evaluation.harnesses.evalscope_driver", "evalscope",
        rounding=6e-5,
    ),
}  # fmt: skip
