"""What teachers are asked: prompts as versioned data, filled in. Knows no Django.

A prompt is a text with names in braces. It is filled in one pass, so that what is filled in is never taken for a name itself.
The texts of questions and answers stand between marks that end in a word (the fence) which nobody who wrote an answer can have
known, so that no answer can close them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from annotations.rubric import Frozen, Rubric

PROMPTS = Path(__file__).with_name("prompts")
Kind = Literal["single", "dimensions", "pairwise"]
ReplyForm = Literal["json", "score", "rubric"]
"""A JSON object; a line “Score: <0-5>”; a number of the rubric's scale."""
NAMES = frozenset({"prompt", "answer", "other", "reference", "evidence", "scale", "dimensions", "dimension_keys", "fence"})
FENCE_LENGTH = 12
_NAME = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")


class TeacherPrompt(Frozen):
    """One version of a prompt. Two with the same content hash are the same."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: int = Field(ge=1)
    kind: Kind
    title: str = ""
    system: str = ""
    user: str
    reply: ReplyForm = "json"

    @model_validator(mode="after")
    def _can_be_filled_in(self) -> TeacherPrompt:
        named = {found for text in (self.system, self.user) for found in _NAME.findall(text) if found}
        if unknown := named - NAMES:
            raise ValueError(f"{{{sorted(unknown)[0]}}} is no name; there are {', '.join(sorted(NAMES))}")
        needed = {"prompt", "answer"} | ({"other"} if self.kind == "pairwise" else set())
        if missing := needed - set(_NAME.findall(self.user)):
            raise ValueError(f"the user's part must hold {{{sorted(missing)[0]}}}")
        if self.reply != "json" and self.kind != "single":
            raise ValueError(f"a {self.kind} prompt asks for a reply in JSON")
        return self

    @property
    def content_hash(self) -> str:
        document = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(document.encode()).hexdigest()


def prompt_names() -> list[str]:
    return sorted(path.stem for path in PROMPTS.glob("*.toml"))


@cache
def load_prompt(name: str) -> TeacherPrompt:
    """The prompt in `prompts/<name>.toml`; raises FileNotFoundError, or pydantic's ValidationError."""
    data: dict[str, Any] = tomllib.loads((PROMPTS / f"{name}.toml").read_text(encoding="utf-8"))
    return TeacherPrompt.model_validate(data | {part: str(data.get(part, "")).strip() for part in ("system", "user")})


@dataclass(frozen=True)
class Subject:
    """What is to be judged. `other` is the second answer of a pair; `evidence` what was found about the question."""

    prompt: str
    answer: str
    other: str | None = None
    reference: str = ""
    evidence: str = ""

    @property
    def swapped(self) -> Subject:
        assert self.other is not None  # of a pair
        return Subject(self.prompt, self.other, self.answer, self.reference, self.evidence)

    @property
    def digest(self) -> str:
        """Of all of it: the same subject is not judged twice by one version of a teacher."""
        parts = (self.prompt, self.answer, self.other, self.reference, self.evidence)
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def messages_of(prompt: TeacherPrompt, subject: Subject, rubric: Rubric, *, secret: str) -> list[dict[str, str]]:
    """The conversation that asks for a verdict. `secret` is what answers cannot know: the fence is made of it."""
    fence = fence_of(subject.digest, secret=secret)
    values = {
        "prompt": subject.prompt,
        "answer": subject.answer,
        "other": subject.other or "",
        "reference": _part("reference answer", subject.reference, fence, prompt),
        "evidence": _part("evidence", subject.evidence, fence, prompt),
        "scale": "\n".join(f"{step.score:+d} {step.label}: {step.scenario}" for step in rubric.scale),
        "dimensions": "\n".join(f"{one.id}: {one.question}" for one in rubric.dimensions),
        "dimension_keys": ", ".join(f'"{one.id}": <-2 to 2>' for one in rubric.dimensions),
        "fence": fence,
    }
    return conversation(prompt.system, prompt.user, values)


def fence_of(digest: str, *, secret: str) -> str:
    """The word that marks end in: of what stands between them and a secret, so that nobody who wrote it can have known."""
    return hmac.new(secret.encode(), digest.encode(), hashlib.sha256).hexdigest()[:FENCE_LENGTH]


def conversation(system: str, user: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    """Both parts of a prompt with their names filled in; a part that is empty is left out."""
    said = [("system", _filled(system, values)), ("user", _filled(user, values))]
    return [{"role": role, "content": text} for role, text in said if text]


def _part(title: str, text: str, fence: str, prompt: TeacherPrompt) -> str:
    """A part that is not always there, between marks where the prompt has them."""
    if not text:
        return ""
    if "{fence}" not in prompt.user:
        return f"{title.capitalize()}: {text}\n"
    return f"<{title} {fence}>\n{text}\n</{title} {fence}>\n"


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return {"{{": "{", "}}": "}"}.get(found[0]) or values.get(found[1], "")

    return _NAME.sub(value, text).strip()
