"""What all rewards share: their settings, what they are built with, and how they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from training.data import Row, text_of

Completion = str | list[Row]
BY_THE_SITE: Final[JsonDict] = {"by_the_site": True}
"""A setting's `json_schema_extra` where no person fills it in: forms and lists leave it out."""


class RewardPart(BaseModel):
    """One reward of several. A subclass beside each reward function adds what that one needs to be told."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: str
    name: str = Field("", pattern=r"^[a-z0-9_-]*$", description="What its figures are logged as; by default its kind.")
    weight: float = Field(1.0, description="Its factor in the sum; a negative one makes it a penalty.")


@dataclass(frozen=True)
class RewardContext:
    """What a reward may use of the run: the tokens that end an answer, the run's tokenizer, its device's name and its folder.

    An answer without any of `ends` was cut off. `tokenizer` is None where no model is at hand, `folder` where there is no run.
    """

    ends: frozenset[int] = frozenset()
    tokenizer: Any = None
    device: str = "cpu"
    folder: Path | None = None

    def cut_off(self, completion_ids: Sequence[Sequence[int]] | None, number: int) -> list[bool]:
        """Which of `number` completions ended for want of room; none where their tokens are not told."""
        if not self.ends or completion_ids is None:
            return [False] * number
        return [self.ends.isdisjoint(ids) for ids in completion_ids]


@dataclass(frozen=True)
class Batch:
    """Completions to reward. `columns` holds each column of the dataset that a reward asked for, one value a completion."""

    prompts: Sequence[Completion]
    completions: Sequence[Completion]
    completion_ids: Sequence[Sequence[int]] | None
    columns: dict[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.completions)

    @property
    def texts(self) -> list[str]:
        return [text_of(completion) for completion in self.completions]

    def column(self, name: str) -> Sequence[Any]:
        """A column; None for every completion where the dataset lacks it."""
        found = self.columns.get(name)
        return [None] * len(self) if found is None else found


@dataclass(frozen=True)
class Rewarded:
    """What a reward says of a batch: a value per completion (None: does not apply), details to log beside each, and
    figures of the whole batch.
    """

    values: list[float | None]
    details: dict[str, Sequence[Any]]
    figures: dict[str, float]


class Reward(Protocol):
    """A reward function. `columns` are those of the dataset that it reads."""

    columns: tuple[str, ...]

    def __call__(self, batch: Batch) -> Rewarded: ...
