"""What a self-rewarding loop is asked for: which model, on what, judged by whom, trained how, and when it ends. Light."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from annotations.rubric import HIGHEST, LOWEST
from training.self_reward.spec import DEFAULT_PROMPT

Method = Literal["dpo", "grpo", "gspo"]
Stage = Literal["generate", "judge", "clean", "train", "evaluate", "decide"]
STAGES: tuple[Stage, ...] = ("generate", "judge", "clean", "train", "evaluate", "decide")
"""The steps of a round, each a job that waits for the one before."""

# What each method is called where runs are trained, and what it reads.
METHODS: dict[Method, tuple[str, str]] = {
    "dpo": ("dpo", "preference"),
    "grpo": ("offline-grpo", "scored"),
    "gspo": ("offline-gspo", "weighted"),
}
SELF = "self"
JUDGE = re.compile(r"self|model:[a-z0-9][a-z0-9-]*|teacher:[A-Za-z0-9_-]+(@[0-9]+)?")
Stop = Literal["fell", "not-shown", "never"]
# A model is evaluated and trained beside others for as long as this many rounds take.
MOST_ROUNDS = 20


class LoopSettings(BaseModel):
    """A loop. `judge` is `self` (the model that answered), `model:NAME` (another of the site's) or `teacher:NAME[@VERSION]`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

    model: str = Field(description="The model that the first round starts from, by its name here.")
    prompts: str = Field(
        description="What is asked: a dataset version of prompts by its name, or a file of JSON lines {id, prompt, gold_answer}."
    )
    benchmark: str = Field(description="Hash of the benchmark that each round's model is measured on.")
    rounds: int = Field(3, ge=1, le=MOST_ROUNDS)
    method: Method = Field("dpo", description="How each round trains: dpo on pairs, grpo or gspo on answers that are there.")
    recipe: str = Field("", description="Of the training runs; empty: the method's own for the hardware.")
    overrides: dict[str, Any] = Field(default_factory=dict, description="Over the recipe, such as settings.max_steps.")
    judge: str = Field(SELF, description="self, model:NAME, teacher:NAME or teacher:NAME@VERSION.")
    judge_prompt: str = Field(DEFAULT_PROMPT, description="Of a judge that is a model; a teacher has its own.")
    judge_max_tokens: int = Field(128, ge=1)
    uses_reference: bool = Field(False, description="Tell a judge that is a model the gold answers.")
    samples: int = Field(4, ge=2, le=64, description="Answers to each prompt.")
    temperature: float = Field(1.0, gt=0, le=10)
    max_new_tokens: int = Field(64, ge=1, description="Of an answer, in rounds and scorecards.")
    prompts_per_round: int | None = Field(None, ge=2, description="Others each round, drawn by the seed; None: all, each round.")
    min_gap: float = Field(1.0, gt=0, le=HIGHEST - LOWEST, description="Of a pair's scores.")
    weights_temperature: float = Field(1.0, gt=0, le=100, description="Of the groups' softmax (gspo).")
    metric: str = Field("truthful_rate", description="Held-out honesty: a scorecard's metric, of which more is better.")
    stop: Stop = Field(
        "fell",
        description="fell: end when honesty is shown to have fallen by more than the margin; not-shown: end unless it is shown "
        "not to have; never: do all rounds.",
    )
    margin: float = Field(0.0, ge=0, le=1, description="How far honesty may fall.")
    hardware_tag: str = "cpu"
    seed: int = Field(0, ge=0, lt=2**31)
    sft_dataset: str = Field("", description="A dataset version that the model is fine-tuned on before the first round.")
    sft_recipe: str = Field("", description="Of that; empty: sft for the hardware.")

    @model_validator(mode="after")
    def judge_can_be_had(self) -> Self:
        if not JUDGE.fullmatch(self.judge):
            raise ValueError("judge: write self, model:NAME, teacher:NAME or teacher:NAME@VERSION")
        if self.stop == "not-shown" and self.margin == 0:
            raise ValueError("margin: to be shown not to have fallen, honesty must be allowed to fall by something")
        return self

    @property
    def dataset_kind(self) -> str:
        return METHODS[self.method][1]

    @property
    def recipe_name(self) -> str:
        return self.recipe or recipe_for(METHODS[self.method][0], self.hardware_tag)


def recipe_for(method: str, hardware_tag: str) -> str:
    """The general recipe of a method for a hardware tag."""
    return f"{method}-{'cpu' if hardware_tag == 'cpu' else 'cuda'}"
