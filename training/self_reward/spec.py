"""What self-rewarding data is made of: the model, the prompts, the judge, and how rows are drawn from its scores. Light."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from accounts.chat.service import KEY_VARIABLE, ChatService
from annotations.rubric import HIGHEST, LOWEST, Rubric, load_rubric
from annotations.teachers.prompts import TeacherPrompt, load_prompt, prompt_names
from training.exceptions import BadSpec
from training.generate import GenerateSpec
from training.specs import ModelSpec, faults_of

SPEC: Final = "self_reward.json"
RAW: Final = "raw_responses.jsonl"
DPO: Final = "dpo_training.jsonl"
GRPO: Final = "grpo_training.jsonl"
GSPO: Final = "gspo_training.jsonl"
SAMPLES: Final = "self_reward_samples.jsonl"
REPORT: Final = "report.json"
DEFAULT_PROMPT: Final = "score-0-5-1"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class JudgeSpec(_Part):
    """Who scores the answers, and how it is asked. Without a service and another model that is the model itself."""

    service: ChatService | None = Field(None, description="Its key is in the environment; None: a model on this machine.")
    model: ModelSpec | None = Field(None, description="Another model than the one that answers; None: that one judges itself.")
    max_calls: int | None = Field(None, ge=1, description="Requests to a service at most; None: as many as it takes.")
    max_cost: float | None = Field(None, ge=0, description="Of a service with prices, at most.")
    prompt: TeacherPrompt = Field(
        default_factory=lambda: load_prompt(DEFAULT_PROMPT), description="One of ours by name, or a prompt's fields."
    )
    rubric: Rubric = Field(default_factory=load_rubric, description="For prompts that quote one.")
    uses_reference: bool = Field(False, description="Tell it the row's gold_answer.")
    max_tokens: int = Field(128, ge=1, description="Of a verdict.")
    temperature: float = Field(0.0, ge=0, le=2)
    key_variable: str = Field(KEY_VARIABLE, pattern=rf"^{KEY_VARIABLE}(_[0-9]{{1,3}})?$")

    @field_validator("model", mode="before")
    @classmethod
    def path_alone(cls, model: Any) -> Any:
        """A path says all that most models need."""
        return {"path": model} if isinstance(model, str) else model

    @field_validator("prompt", mode="before")
    @classmethod
    def prompt_by_name(cls, prompt: Any) -> Any:
        if not isinstance(prompt, str):
            return prompt
        if prompt not in prompt_names():
            raise ValueError(f"there is no prompt “{prompt}”; there are {', '.join(prompt_names())}")
        return load_prompt(prompt)

    @model_validator(mode="after")
    def gives_scores(self) -> Self:
        if self.prompt.kind == "pairwise":
            raise ValueError("a prompt that compares answers gives no scores")
        return self

    @model_validator(mode="after")
    def is_one(self) -> Self:
        if self.service is not None and self.model is not None:
            raise ValueError("give a service or a model, not both")
        return self

    @property
    def who(self) -> str:
        """In words, for the report."""
        if self.service is not None:
            return self.service.model
        return Path(self.model.path or "another model").name if self.model is not None else "the model itself"


class SelfRewardSpec(GenerateSpec):
    """What to ask of which model, who judges, and what is made of it. `prompts` holds JSON lines `{id, prompt, gold_answer}`, of
    which only the prompt must be there.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    samples: int = Field(4, ge=2, le=256, description="Answers to each prompt.")
    temperature: float = Field(1.0, gt=0, le=10, description="Of the answers.")
    answers: Path | None = Field(None, description="Answers that were generated before; the model is then not asked for any.")
    judge: JudgeSpec = Field(default_factory=JudgeSpec)
    min_gap: float = Field(
        1.0, gt=0, le=HIGHEST - LOWEST, description="A pair's answers are at least so far apart, on the scale from −2 to +2."
    )
    weights_temperature: float = Field(1.0, gt=0, le=100, description="Of the groups' weights: softmax of score / temperature.")
    logged: int = Field(20, ge=0, le=20, description="Prompts in the log that is there to be read.")

    @property
    def fingerprint(self) -> str:
        """Of all that the answers and the verdicts depend on; where and how fast they are had is no part of it."""
        values = self.model_dump(mode="json", exclude={"min_gap", "weights_temperature", "logged", "hardware"})
        if values["answers"] is None:  # a folder of before there was the field goes on
            del values["answers"]
        for name in ("max_calls", "max_cost"):  # what may be used says nothing of what was said
            del values["judge"][name]
        if values["judge"]["model"] is None:
            del values["judge"]["model"]
        service = values["judge"]["service"]
        if service is not None:
            values["judge"]["service"] = {name: service[name] for name in ("base_url", "model")}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_self_reward_spec(folder: Path) -> SelfRewardSpec:
    """The specification in a folder. Raises BadSpec that names each field at fault."""
    path = folder / SPEC
    try:
        return SelfRewardSpec.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BadSpec(f"There is no {path}.", f"A folder for self-rewarding data starts with a {SPEC}.") from error
    except ValidationError as error:
        raise BadSpec(f"{path.name}: {faults_of(error)}", "Correct the named fields.") from error
