"""What the specialists of a chain are asked: prompts as versioned data, filled in. Knows no Django."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from annotations.rubric import Frozen
from annotations.teachers.prompts import conversation, fence_of

PROMPTS = Path(__file__).with_name("prompts")
Role = Literal["answer", "review", "revise", "extend"]
"""Answers anew; says what is wrong with the answer; makes a better one of both; adds to it."""
NEEDED: Mapping[Role, frozenset[str]] = {
    "answer": frozenset(),
    "review": frozenset({"prompt", "answer"}),
    "revise": frozenset({"prompt", "answer", "review"}),
    "extend": frozenset({"prompt", "answer"}),
}
_NAME = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")


class ChainPrompt(Frozen):
    """One version of a prompt. `asked` is what a review is said to answer, where people score it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)
    version: int = Field(ge=1)
    role: Role
    title: str = ""
    asked: str = ""
    system: str = ""
    user: str = ""

    @model_validator(mode="after")
    def _can_be_filled_in(self) -> ChainPrompt:
        if self.role == "answer":
            if self.user or "{" in self.system:
                raise ValueError("an answer is asked for by the item's own conversation: give a system part without names")
            return self
        known = NEEDED[self.role] | {"fence"}
        named = {found for text in (self.system, self.user) for found in _NAME.findall(text) if found}
        if unknown := named - known:
            raise ValueError(f"{{{min(unknown)}}} is no name of a {self.role}; there are {', '.join(sorted(known))}")
        if missing := known - set(_NAME.findall(self.user)):
            raise ValueError(f"the user's part must hold {{{min(missing)}}}")
        if self.role == "review" and not self.asked.strip():
            raise ValueError("a review needs `asked`: what people who score it are told that it answers")
        return self

    @property
    def title_or_name(self) -> str:
        return self.title or f"{self.name}-{self.version}"

    @property
    def content_hash(self) -> str:
        document = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(document.encode()).hexdigest()


def prompt_names() -> list[str]:
    return sorted(path.stem for path in PROMPTS.glob("*.toml"))


@cache
def load_prompt(name: str) -> ChainPrompt:
    """The prompt in `prompts/<name>.toml`; raises FileNotFoundError, or pydantic's ValidationError."""
    data: dict[str, Any] = tomllib.loads((PROMPTS / f"{name}.toml").read_text(encoding="utf-8"))
    return ChainPrompt.model_validate(data | {part: str(data.get(part, "")).strip() for part in ("system", "user")})


@dataclass(frozen=True)
class Work:
    """What a chain has in hand: the conversation that is answered, the answer, and a review of that very answer."""

    conversation: Sequence[Mapping[str, Any]]
    answer: str = ""
    review: str = ""

    def after(self, role: Role, text: str) -> Work:
        """With what a step has said; a new answer has no review."""
        return replace(self, review=text) if role == "review" else replace(self, answer=text, review="")

    @property
    def prompt(self) -> str:
        return "\n\n".join(str(one["content"]) for one in self.conversation)

    @property
    def digest(self) -> str:
        parts = (self.prompt, self.answer, self.review)
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def problem_with(roles: Sequence[Role]) -> str:
    """Why steps with these roles make no chain; empty where they do."""
    if not roles:
        return "A chain has one step at least."
    is_reviewed = False
    for number, role in enumerate(roles, 1):
        if role == "answer" and number > 1:
            return f"Step {number} would answer anew and leave what was done before: answer first, or not at all."
        if role == "revise" and not is_reviewed:
            return f"Step {number} revises, and nothing has reviewed the answer before it."
        is_reviewed = role == "review"
    return ""


def messages_of(prompt: ChainPrompt, work: Work, *, secret: str) -> list[dict[str, Any]]:
    """The conversation that asks for a step. `secret` is what answers cannot know: the fence is made of it."""
    if prompt.role == "answer":
        return _under(prompt.system, work.conversation)
    values = {
        "prompt": work.prompt, "answer": work.answer, "review": work.review, "fence": fence_of(work.digest, secret=secret),
    }  # fmt: skip
    return list(conversation(prompt.system, prompt.user, values))


def _under(system: str, asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conversation with one system message: ours above its own."""
    first = list(asked[:1]) if asked and asked[0].get("role") == "system" else []
    words = "\n\n".join(filter(None, (system, *(str(one["content"]) for one in first))))
    rest = [{"role": one["role"], "content": one["content"]} for one in asked[len(first) :]]
    return [{"role": "system", "content": words}, *rest] if words else rest


def review_conversation(prompt: ChainPrompt, work: Work) -> list[dict[str, Any]]:
    """What a review answers, as whoever scores it is shown it."""
    return [
        *map(dict, work.conversation),
        {"role": "assistant", "content": work.answer},
        {"role": "user", "content": prompt.asked},
    ]
