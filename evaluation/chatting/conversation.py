"""A conversation with one model, and how it travels: whole and signed, so that nobody can make a model have said what it did not.

Pages and scripts keep their conversation themselves and send it along with each message; the site stores none.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from django.core import signing
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SALT: Final = "evaluation.chatting.conversation"
MOST_CHARACTERS: Final = 200_000
MOST_TURNS: Final = 200
KEPT_S: Final = 30 * 24 * 3600
"""After that a conversation that somebody has kept is taken no more."""


class ChatRefused(ValueError):  # noqa: N818 - reads as what happened
    """A message that cannot be sent, or a reply that cannot be scored; the message says why, and what helps."""


class Wording(BaseModel):
    """How a model is asked: what it is told first, how freely it draws, how long an answer may be."""

    model_config = ConfigDict(frozen=True)

    system: str = Field("", max_length=20_000)
    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest answer.")
    max_tokens: int | None = Field(None, ge=1, le=32_768, description="Of an answer; none: as the model's service does.")


class Turn(BaseModel):
    """What one side said. Of a reply also a hash of the model's files, where that is known, and how it was asked and ended."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    role: Literal["user", "assistant"]
    content: str
    model_hash: str = ""
    ending: str = ""
    tokens: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    at: str = ""


class Conversation(BaseModel):
    """All that was said so far, to one model. Where two are asked side by side, both conversations have one `id`."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: str
    model: str
    kind: str = ""
    answers_as: str = Field("", description="What an endpoint's service calls the model.")
    system: str = ""
    turns: tuple[Turn, ...] = ()

    def messages(self, upto: int | None = None) -> list[dict[str, Any]]:
        """As models are asked: the system prompt, and the turns before the one of that number."""
        first = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return first + [{"role": one.role, "content": one.content} for one in self.turns[:upto]]

    def asked(self, text: str) -> Conversation:
        """With one more question. Raises ChatRefused."""
        if not text.strip():
            raise ChatRefused("Write something first.")
        if "\x00" in text:
            raise ChatRefused("A message holds a NUL character, which is no text.")
        said = sum(len(one.content) for one in self.turns) + len(text) + len(self.system)
        if said > MOST_CHARACTERS or len(self.turns) >= MOST_TURNS:
            raise ChatRefused("The conversation is as long as one may get here: start a new one.")
        return self.model_copy(update={"turns": (*self.turns, Turn(role="user", content=text.strip()))})

    def answered(self, reply: Turn) -> Conversation:
        return self.model_copy(update={"turns": (*self.turns, reply)})

    def reply(self, turn: int) -> Turn:
        """The reply of that number. Raises ChatRefused where a person, or nobody, has said that."""
        if not 0 <= turn < len(self.turns) or self.turns[turn].role != "assistant":
            raise ChatRefused("There is no such reply in this conversation.")
        return self.turns[turn]


def sealed(conversation: Conversation) -> str:
    """The conversation as it is handed out. It can be read by whoever has it, and changed by nobody."""
    return signing.dumps(conversation.model_dump(mode="json", exclude_defaults=True), salt=SALT, compress=True)


def unsealed(text: str) -> Conversation:
    """Raises ChatRefused for what this site has not handed out, or long ago."""
    try:
        return Conversation.model_validate(signing.loads(text, salt=SALT, max_age=KEPT_S))
    except (signing.BadSignature, ValidationError, json.JSONDecodeError) as error:
        raise ChatRefused("This conversation is not as this site handed it out, or too old: start a new one.") from error
