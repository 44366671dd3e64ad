"""A prompt as one reads it: what was said before, and the question that the answer is to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Longer conversations are folded, down to the last messages.
UNFOLDED = 4
RECENT = 2
# A question that may stay in view while one reads the answer.
SHORT_QUESTION = 280


@dataclass(frozen=True)
class Conversation:
    folded: Sequence[dict[str, Any]]
    recent: Sequence[dict[str, Any]]
    last: dict[str, Any]

    @property
    def has_before(self) -> bool:
        return bool(self.folded or self.recent)

    @property
    def is_short(self) -> bool:
        text = self.last.get("content", "")
        return len(text) <= SHORT_QUESTION and text.count("\n") < 4


def conversation(messages: Sequence[dict[str, Any]]) -> Conversation:
    *before, last = messages
    cut = len(before) - RECENT if len(messages) > UNFOLDED else 0
    return Conversation(before[:cut], before[cut:], last)
