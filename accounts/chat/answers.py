"""What is asked of a chat service, and what comes back. Light: it knows no client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["stop", "length", "refused", "filtered", "rejected"]
"""How an answer ended: by itself; cut off at the length that was allowed; the model declined in a field of its own; the service's
filter let nothing through; the service refused the request itself (too long, say). The last two say nothing of the model.
"""

ENDINGS: dict[str, Ending] = {"length": "length", "content_filter": "filtered"}
"""By a service's word for how an answer ended; any other one says that it ended by itself."""


@dataclass(frozen=True)
class ChatQuestion:
    """One answer to be had. Without a temperature the likeliest one; `seed` asks a service that can to draw the same again. Where
    `max_tokens` is None, the service says how long an answer may be.
    """

    messages: Sequence[dict[str, Any]]
    max_tokens: int | None
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class ChatAnswer:
    """What came back. `logprob` is the natural logarithm of the whole answer's probability; None where the service tells none.

    `tokens` are those of the answer, `tokens_in` those of what was asked. `reason` is what the service
    said where it gave no answer. `drawn`: the likeliest answer was asked for and could not be had, for the service takes no
    temperature.
    """

    text: str
    logprob: float | None
    tokens: int | None
    ending: Ending = "stop"
    reason: str = ""
    drawn: bool = False
    tokens_in: int | None = None


def plain_text(text: str) -> str:
    """What a service said, as a database can hold it: no NUL character, no half of a character."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
