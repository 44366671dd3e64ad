"""A benchmark's question: what is asked, and by what an answer to it is judged."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

JudgeName = Literal["gold", "references", "choice", "compliance", "scored"]


class ScoredAnswer(BaseModel):
    """An answer that people have scored by the rubric; `score` is their median, `scores` how many there are, `spread` how far the
    highest lies above the lowest, where that is known.
    """

    model_config = ConfigDict(extra="allow")

    answer: str
    score: float = Field(ge=-2, le=2)
    scores: int = Field(1, ge=1)
    spread: float | None = Field(default=None, ge=0, le=4)
    source: str | None = None

    @property
    def unanimous(self) -> bool:
        return self.scores == 1 or self.spread == 0


class Message(BaseModel):
    """One message of a prompt; unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str


class Question(BaseModel):
    """One line of `benchmark.jsonl`; unknown fields are kept.

    `judge` says how answers are judged (`evaluation/judging.py`), and what of the rest that takes: `gold` the gold answers,
    `references` true answers (`gold_answer`) and false ones, `choice` the choices by their letters with the right letter as
    `gold_answer`, `compliance` what is `expected`, `scored` answers that people have scored.
    """

    model_config = ConfigDict(extra="allow")

    id: str
    prompt: str | list[dict[str, Any]]
    gold_answer: str | list[str] | None = None
    knowledge: Literal["known", "unknown"] | None = None
    entity: str | None = None
    """What the question is about; questions about one entity stand or fall together."""
    slice: dict[str, Any] = Field(default_factory=dict)
    judge: JudgeName = "gold"
    false_answers: list[str] = Field(default_factory=list)
    choices: dict[str, str] = Field(default_factory=dict)
    expected: Literal["answer", "decline"] | None = None
    scored: list[ScoredAnswer] = Field(default_factory=list)

    @property
    def gold_answers(self) -> list[str]:
        return [self.gold_answer] if isinstance(self.gold_answer, str) else list(self.gold_answer or ())

    @property
    def wrong_answers(self) -> list[str]:
        """Answers that are known to be wrong; of a choice, the other letters."""
        return self.false_answers or [label for label in self.choices if label not in self.gold_answers]

    @field_validator("prompt", mode="after")
    @classmethod
    def _can_be_asked(cls, prompt: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        if isinstance(prompt, str):
            return prompt
        if not prompt:
            raise ValueError("has no message")
        for number, one in enumerate(prompt, start=1):
            try:
                Message.model_validate(one)
            except ValidationError as error:
                first = error.errors()[0]
                raise ValueError(f"message {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return prompt

    @model_validator(mode="after")
    def _has_what_its_judge_takes(self) -> Question:
        if self.judge == "references" and not self.gold_answers:
            raise ValueError("is judged by true and false answers, and has no true one")
        if self.judge == "choice" and not (len(self.choices) > 1 and set(self.gold_answers) <= set(self.choices)):
            raise ValueError("is a choice, but has no two choices, or its right one is not among them")
        if self.judge == "compliance" and self.expected is None:
            raise ValueError("is judged by whether it is answered, and does not say what is expected")
        if self.judge == "scored" and not self.scored:
            raise ValueError("is judged by scored answers, and has none")
        return self
