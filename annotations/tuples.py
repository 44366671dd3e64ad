"""The RLWHF tuple: a prompt, an answer, and what was said about it. Fields we do not know are kept."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from annotations.rubric import HIGHEST, LOWEST

Share = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
Reward = Annotated[float, Field(ge=LOWEST, le=HIGHEST, strict=True, allow_inf_nan=False)]
Knowledge = Literal["known", "unknown"]
Role = Literal["system", "user", "assistant", "tool"]


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is taken as UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _has_words(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


Text = Annotated[str, AfterValidator(_has_words)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Message(Open):
    role: Role
    content: Text


class Turn(Open):
    """One round of review: an answer, what was said about it, and its score."""

    answer: str
    critique: str = ""
    score: Reward | None = None


class Metadata(Open):
    source_ai: str | None = Field(default=None, max_length=200)
    confidence_score: Share | None = None
    rubric_dimension: str | None = None
    iteration_count: int | None = Field(default=None, ge=0)
    consensus_score: Share | None = None
    hardware_profile: str | None = None
    # When the score was given; never when a file was written.
    update_timestamp: Moment | None = None
    rubric_version: str | None = None
    raters: list[str] | None = None
    item_id: int | str | None = None
    # Of a gold item: the score that is right, and why; and whether newcomers are tried on it.
    gold_score: Reward | None = None
    gold_note: str | None = Field(default=None, max_length=20_000)
    qualification: bool | None = None


class RlwhfTuple(Open):
    """`reward` is None for an answer that nobody has scored yet."""

    prompt: Text | Annotated[list[Message], Field(min_length=1)]
    answer: Text
    feedback: str = ""
    reward: Reward | None = None
    metadata: Metadata = Field(default_factory=Metadata)
    turns: list[Turn] | None = None
    decomposition: Any = None
    knowledge: Knowledge | None = None
    knowledge_source: str | None = Field(default=None, max_length=80)
    gold_answer: str | list[str] | None = None
    entity: str | None = Field(default=None, max_length=200)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The prompt as messages."""
        if isinstance(self.prompt, str):
            return [{"role": "user", "content": self.prompt}]
        return [message.model_dump(mode="json", exclude_none=True) for message in self.prompt]

    @property
    def gold_answers(self) -> list[str]:
        given = [self.gold_answer] if isinstance(self.gold_answer, str) else self.gold_answer or []
        return [one for one in given if one.strip()]

    def document(self) -> dict[str, Any]:
        """The tuple as it is written: only what it has, and everything that it came with."""
        return self.model_dump(mode="json", exclude_unset=True)


class Problem(BaseModel):
    """Why a line or row is refused."""

    model_config = ConfigDict(frozen=True)

    field: str
    reason: str

    @property
    def kind(self) -> str:
        """The same for every line that is wrong in the same way, for counting: without what stands in brackets."""
        reason = self.reason.partition(" (")[0]
        return f"{self.field}: {reason}" if self.field else reason


def parse_tuple(raw: Any) -> RlwhfTuple | Problem:
    """The tuple in a decoded JSON value, or the first thing that is wrong with it."""
    if not isinstance(raw, dict):
        return Problem(field="", reason="is not a JSON object")
    try:
        return RlwhfTuple.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        # A prompt is tried as text, then as messages: the complaint that came furthest in is about what was meant.
        first = max((one for one in problems if one["loc"][:1] == problems[0]["loc"][:1]), key=lambda one: len(one["loc"]))
        return Problem(field=_field(first["loc"]), reason=_reason(first["type"], first["msg"]))


def parse_line(line: bytes) -> RlwhfTuple | Problem:
    """The tuple on a line of a JSON-lines file, or what is wrong with it."""
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Problem(field="", reason=f"is not JSON ({error})")
    if b"\\u0000" in line and (place := place_of_nul(raw)) is not None:
        return Problem(field=place, reason="holds a NUL character, which no database text can")
    return parse_tuple(raw)


def place_of_nul(value: Any, place: str = "") -> str | None:
    """Where in a JSON value a text or a name holds a NUL character; None where none does."""
    if isinstance(value, str):
        return place if "\x00" in value else None
    if isinstance(value, dict):
        if any("\x00" in name for name in value):
            return place
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)  # type: ignore[assignment]  # numbers in place of names
    else:
        return None
    places = (place_of_nul(one, f"{place}.{name}".lstrip(".")) for name, one in inner)
    return next((found for found in places if found is not None), None)


def _field(location: tuple[int | str, ...]) -> str:
    # pydantic adds the branch of a union ("prompt.str", "prompt.function-after[…]") to the path; people do not write that.
    return ".".join(str(part) for part in location if not (isinstance(part, str) and _is_branch(part)))


def _is_branch(part: str) -> bool:
    return part in {"str", "int"} or "[" in part or part.startswith("constrained-")


def _reason(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def digest(*parts: Any) -> str:
    """A SHA-256 over JSON values, the same for equal values."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def prompt_hash(messages: list[dict[str, Any]]) -> str:
    return digest(messages)


def content_hash(messages: list[dict[str, Any]], answer: str, source_ai: str | None) -> str:
    """What makes two tuples the same item: prompt, answer and who answered."""
    return digest(messages, answer, source_ai or "")
