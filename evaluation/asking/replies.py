"""What is asked of a model and what comes back, whoever the model is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from accounts.chat.answers import Ending
from training.stopping import StopRequest

Prompt = str | list[dict[str, Any]]
"""A question as text, or a conversation as messages `{role, content}`."""


@dataclass(frozen=True)
class Wanted:
    """One reply to be had: to which prompt, and the how-manieth. All samples of a prompt are different draws."""

    prompt: Prompt
    sample: int = 0

    @property
    def key(self) -> str:
        """Names the prompt and the sample, and nothing else. A text is not the conversation that has it as its one turn: where
        there is no chat template, the two are put to a model in different words.
        """
        asked = orjson.dumps(self.prompt, option=orjson.OPT_SORT_KEYS)
        return f"{hashlib.sha256(asked).hexdigest()[:32]}.{self.sample}"


@dataclass(frozen=True)
class Reply:
    """What a model said. `logprob` is the natural logarithm of the probability of the whole reply, its end included, where the
    model tells it; `ids` are its tokens, where there are any to be seen; `tokens` is how many there were.

    `ending` says how it ended, where that is known, and `reason` why there is none. `drawn`: it is not the likeliest one though
    that was asked for.
    """

    text: str
    logprob: float | None = None
    tokens: int | None = None
    ids: tuple[int, ...] | None = None
    ending: Ending | None = None
    reason: str = ""
    drawn: bool = False


@dataclass(frozen=True)
class How:
    """How replies are made. A temperature of 0 takes the likeliest token each time; `seed` is that of the draws."""

    max_new_tokens: int
    temperature: float = 0.0
    seed: int = 0

    def key(self) -> dict[str, Any]:
        """What of it changes a reply."""
        drawn = {"temperature": self.temperature, "seed": self.seed} if self.temperature > 0 else {}
        return {"max_new_tokens": self.max_new_tokens, **drawn}


Keep = Callable[[Sequence[tuple[int, Reply]]], None]
"""Told, as they come, which of the wanted replies (by index) there are now."""


class Model(Protocol):
    """Somebody who replies."""

    @property
    def digest(self) -> str:
        """A hash that two models share only if they reply alike."""

    def settings(self) -> Mapping[str, Any]:
        """What else changes a reply, as values of JSON."""

    def reply(self, wanted: Sequence[Wanted], how: How, *, keep: Keep, stop: StopRequest) -> None:
        """Reply to all. Raises Stopped when asked to stop, and a TrainingError; what was kept by then stays kept."""


def as_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """A prompt as a conversation."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def followed_by(prompt: Prompt, reply: str, turn: str) -> list[dict[str, Any]]:
    """The conversation that goes on: the reply to the prompt, then what is said next."""
    return [*as_messages(prompt), {"role": "assistant", "content": reply}, {"role": "user", "content": turn}]


def last_turn(prompt: Prompt) -> str:
    """What was said last."""
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def with_last_turn(prompt: Prompt, turn: str) -> Prompt:
    """The same prompt with another last turn."""
    return turn if isinstance(prompt, str) else [*prompt[:-1], {**prompt[-1], "content": turn}]
