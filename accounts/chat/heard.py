"""An answer that comes piece by piece, put together. Light: it knows no client."""

from __future__ import annotations

from typing import Any

from accounts.chat.answers import ENDINGS, ChatAnswer, Ending


class Heard:
    """What has been said so far. `drawn`: as of an answer."""

    def __init__(self, *, drawn: bool = False) -> None:
        self._pieces: list[str] = []
        self._ending: Ending = "stop"
        self._drawn = drawn
        self.is_nothing = True
        self.tokens: int | None = None
        self.tokens_in: int | None = None

    def piece(self, chunk: Any) -> str:
        """The text that a chunk (openai's ChatCompletionChunk) adds; what else it says is kept."""
        if chunk.usage is not None:
            self.tokens, self.tokens_in = chunk.usage.completion_tokens, chunk.usage.prompt_tokens
        if not chunk.choices:  # the last one, which only counts
            return ""
        choice = chunk.choices[0]
        self.is_nothing = False
        if choice.finish_reason is not None and self._ending != "refused":
            self._ending = ENDINGS.get(choice.finish_reason, "stop")
        if choice.delta.refusal:
            self._ending = "refused"
        piece: str = choice.delta.content or choice.delta.refusal or ""
        self._pieces.append(piece)
        return piece

    def answer(self) -> ChatAnswer:
        """The whole, once the last chunk is there."""
        text = "".join(self._pieces).strip()
        return ChatAnswer(text, None, self.tokens, self._ending, drawn=self._drawn, tokens_in=self.tokens_in)
