"""What OpenAI's protocol asks for, as far as a local model can do it; what it cannot do is refused, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_CHOICES = 128
MOST_TOP = 20

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "presence_penalty": (0,), "frequency_penalty": (0,), "repetition_penalty": (1,), "length_penalty": (1,), "top_k": (-1, 0),
    "min_p": (0,), "typical_p": (1,), "min_tokens": (0,), "best_of": (1,), "ignore_eos": (False,), "use_beam_search": (False,),
    "skip_special_tokens": (True,), "include_stop_str_in_output": (False,), "add_generation_prompt": (True,),
    "continue_final_message": (False,), "tool_choice": ("none", "auto"), "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},), "modalities": (["text"],), "echo": (False,),
}  # fmt: skip
"""Options that change what is said, with the values at which they do not."""

HARMLESS = frozenset({
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls", "request_id",
    "priority",
})  # fmt: skip
"""Options that change nothing of what is said. Any other one, known or not, is refused."""


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")

    include_usage: bool = False


class Asked(BaseModel):
    """What both kinds of completion have in common."""

    model_config = ConfigDict(extra="allow")

    model: str
    max_tokens: int | None = Field(None, ge=0)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, ge=0, le=1)
    n: int = Field(1, ge=1, le=MOST_CHOICES)
    seed: int | None = None
    stop: list[str] = Field(default_factory=list)
    stream: bool = False
    stream_options: StreamOptions | None = None

    @field_validator("temperature", "top_p", "n", mode="before")
    @classmethod
    def _left_open(cls, value: Any) -> Any:
        return 1 if value is None else value

    @field_validator("stream", mode="before")
    @classmethod
    def _not_streamed(cls, value: Any) -> Any:
        return False if value is None else value

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else [one for one in value or [] if one]

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.temperature > 0 and self.top_p < 1:
            raise ValueError("top_p: only the whole distribution (1) can be drawn from.")
        for name, value in (self.model_extra or {}).items():
            if name not in HARMLESS and value not in (None, "", [], {}, *NEUTRAL.get(name, ())):
                only = " or ".join(map(str, NEUTRAL.get(name, ())))
                raise ValueError(f"{name}: only {only} can be had." if only else f"{name}: cannot be had.")
        return self


class ChatAsked(Asked):
    """`POST /v1/chat/completions`."""

    messages: list[dict[str, Any]] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=MOST_TOP)

    @field_validator("logprobs", "top_logprobs", mode="before")
    @classmethod
    def _none_asked(cls, value: Any) -> Any:
        return 0 if value is None else value

    @field_validator("messages")
    @classmethod
    def _of_text(cls, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "content": _text(one.get("content"))} for one in messages]

    @property
    def most_tokens(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def top(self) -> int:
        return self.top_logprobs


class CompletionAsked(Asked):
    """`POST /v1/completions`. A prompt is text or token ids; several are answered as several choices."""

    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: int | None = Field(None, ge=0, le=MOST_TOP)
    echo: bool = False

    @field_validator("echo", mode="before")
    @classmethod
    def _no_echo(cls, value: Any) -> Any:
        return False if value is None else value

    @model_validator(mode="after")
    def _echo_is_whole(self) -> Self:
        if self.echo and self.stream:
            raise ValueError("echo: cannot be streamed.")
        return self

    @property
    def prompts(self) -> list[str | list[int]]:
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]  # a list of ids throughout, says the field
        return list(self.prompt)  # type: ignore[arg-type]

    @property
    def top(self) -> int:
        return self.logprobs or 0


def _text(content: Any) -> str:
    """A message's content as text; parts of any other kind are refused."""
    if isinstance(content, list):
        if any(part.get("type", "text") != "text" for part in content):
            raise ValueError("only text can be read.")
        return "".join(str(part.get("text", "")) for part in content)
    return "" if content is None else str(content)
