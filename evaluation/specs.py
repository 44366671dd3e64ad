"""What an evaluation can be asked to do: every setting once, with its bounds, its name for people and what it is for.

The shell's flags and the page's fields are made from this, docs/evaluate.md is tested against it, and the child process reads it
from `evaluate.json`. Light: the web process reads it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from accounts.chat.service import ChatService
from annotations.statistics.intervals import RESAMPLES, SEED
from evaluation.answers import ConfidenceSource, Language, ProbeName
from evaluation.harnesses.table import HARNESSES, HarnessName, TaskName
from training.specs import HardwareSpec

SPEC: Final = "evaluate.json"
ANSWERS: Final = "answers.jsonl"
BASE_ANSWERS: Final = "base_answers.jsonl"
SCORECARD: Final = "scorecard.json"

CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "confidence": {
        "probability": "the probability of the answer",
        "stated": "stated by the model, in words or numbers",
        "agreement": "agreement of samples with the answer",
    },
    "knowledge": {"gold": "as the benchmark says", "samples": "what samples of the base model get right, or its own without one"},
    "probes": {
        "are_you_sure": "“Are you sure?”",
        "false_authority": "a professor says otherwise",
        "leading_premise": "a wrong answer is taken for granted",
        "critique": "criticise it, then answer again",
        "belief": "what do you really hold true?",
    },
    "language": {"en": "English", "pt": "Portuguese"},
    "prompt_format": {"auto": "as the model's chat template says", "chat": "through the chat template", "plain": "as plain text"},
    "harness": {name: one.title for name, one in HARNESSES.items()},
}
"""What the values of a setting are called."""


class EvaluateSettings(BaseModel):
    """How a model is asked. `title` is a setting's name for people; answers are greedy.

    Fields that this version does not know are kept, so that a later version's file can be read; where settings are given by
    people, `settings_checked` refuses them.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    max_new_tokens: int = Field(32, ge=1, le=32768, title="Tokens an answer may have", description="What is longer is cut off.")
    samples: int = Field(
        0, ge=0, le=256, title="Samples of each answer",
        description="Drawn beside the likeliest answer. Agreement, knowledge labels and divergence need some; ten are usual.",
    )  # fmt: skip
    temperature: float = Field(1.0, gt=0, le=10, title="Temperature of the samples", description="Divergence needs 1.")
    elicit: list[ConfidenceSource] = Field(
        ["probability"], title="Confidence, elicited as", description="In one or several ways."
    )
    confidence: ConfidenceSource = Field(
        "probability", title="Calibration is measured on", description="The one way that the scorecard's metrics use."
    )
    knowledge: Literal["gold", "samples"] = Field("gold", title="What is known", description="Whose word counts on it.")
    known_share: float = Field(
        0.5, gt=0, le=1, title="Share of samples that must be right",
        description="For something to count as known, where samples of the base model say so.",
    )  # fmt: skip
    probes: list[ProbeName] = Field(
        default_factory=list, title="Ask again", description="Does it change its answer, give in, correct itself?"
    )
    language: Language = Field("en", title="Language", description="Of what is said beside the questions.")
    kl: bool = Field(False, title="Measure the divergence from the base model", description="The base model reads the samples.")
    preferences: bool = Field(
        False, title="Measure whether right answers are likelier than wrong ones",
        description="Both models read a right and a wrong answer to each question; nothing is asked.",
    )  # fmt: skip
    guard: bool = Field(
        False, title="Check that abilities were kept",
        description="The capability guard: 400 short tasks beside the benchmark, for the model and for its base.",
    )  # fmt: skip
    validator: bool = Field(
        False, title="Look for answers that game a reward",
        description="Blanket refusals, copied questions, words to the grader and the like; nothing more is asked.",
    )  # fmt: skip
    harness: HarnessName | None = Field(
        None, title="Asked by",
        description="Or by another's harness, through the same judge. Its packages are fetched when it is first used.",
    )  # fmt: skip
    tasks: list[TaskName] = Field(
        default_factory=list, title="Guard by tasks of lm-eval too",
        description="By name, such as “arc_easy hellaswag”. Their data must be on the worker: nothing is fetched.",
    )  # fmt: skip
    task_limit: int | None = Field(None, ge=1, title="Questions of each task", description="None: all.")
    fresh: bool = Field(
        False,
        title="Ask everything anew",
        description="What the models have replied before is not used, and not kept for others.",
    )
    batch_size: int = Field(
        128, ge=1, le=4096, title="Questions answered together", description="At most; fewer where memory ends."
    )
    prompt_format: Literal["auto", "chat", "plain"] = Field(
        "auto", title="Questions are put", description="To a model of this site."
    )
    seed: int = Field(SEED, ge=0, le=2**31 - 1, title="Seed", description="Of the samples and of the intervals.")
    resamples: int = Field(RESAMPLES, ge=100, le=100_000, title="Resamples", description="That intervals rest on.")
    hardware: HardwareSpec = Field(default_factory=HardwareSpec, title="Hardware", description="Threads and precision, say.")

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Settings that cannot go together, whoever is asked, are no settings."""
        if self.confidence not in self.elicit:
            raise _wrong("confidence", f"The scorecard is to use the confidence “{self.confidence}”, which is not elicited.")
        if self.samples == 0 and (needs := self._needs_samples()):
            raise _wrong("samples", f"{needs}: choose how many samples to draw.")
        if self.harness is not None and (self.kl or self.preferences):
            raise _wrong("harness", "A harness only asks: divergence and preferences need no harness.")
        if self.kl and self.temperature != 1:
            problem = "Divergence is measured on samples of the model's own distribution: leave their temperature at 1."
            raise _wrong("temperature", problem)
        return self

    @property
    def guards(self) -> bool:
        """Whether abilities are looked at: tasks of lm-eval's are more of the guard."""
        return self.guard or bool(self.tasks)

    def _needs_samples(self) -> str | None:
        """What cannot be had without samples, in words."""
        if "agreement" in self.elicit:
            return "Agreement is that of samples with the answer"
        if self.knowledge == "samples":
            return "What is known is told by samples"
        return "Divergence is measured on samples" if self.kl else None


class ModelRef(BaseModel):
    """A model to ask: its name for people, and its folder or hub name; or the service that runs it."""

    model_config = ConfigDict(extra="allow")

    name: str
    path: str = ""
    endpoint: ChatService | None = None

    @model_validator(mode="after")
    def is_in_one_place(self) -> Self:
        if bool(self.path) == (self.endpoint is not None):
            raise ValueError("give either a path or an endpoint")
        return self


class EvaluateSpec(EvaluateSettings):
    """What to ask of which model; with `base`, the same of the model it is compared with.

    `model.endpoint` asks a service in place of a model on disk.
    """

    version: Literal[1] = 1
    model: ModelRef
    base: ModelRef | None = None
    benchmark: Path
    cache: Path | None = Field(None, description="Folder where models' answers are kept for the next evaluation.")

    @model_validator(mode="after")
    def suit_the_models(self) -> Self:
        """What cannot be asked of these models is not asked."""
        service = self.model.endpoint
        if self.kl and service is not None:
            raise _wrong("kl", "How far a service's model is from another cannot be measured: its tokens are its own.")
        if self.kl and (self.base is None or self.base.endpoint is not None):
            raise _wrong("kl", "Divergence is from a base model on disk, and there is none.")
        if self.preferences and service is not None:
            raise _wrong("preferences", "How likely a service's model finds a given answer cannot be asked of it.")
        return self


def _wrong(field: str, message: str) -> PydanticCustomError:
    """A fault of settings that only show together, with the one to change."""
    return PydanticCustomError("setting", "{message}", {"message": message, "field": field})


RESERVED: Final = frozenset(EvaluateSpec.model_fields) - frozenset(EvaluateSettings.model_fields)
"""What an evaluation is of; not among its settings."""
ON_THE_CARD: Final = frozenset(EvaluateSettings.model_fields) - {"seed", "resamples", "fresh"}
"""What a scorecard says of how its model was asked; the seed and the resamples it has from its intervals."""


class SettingRefused(ValueError):  # noqa: N818 (a refusal is no accident)
    """Settings that cannot work. `field` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def settings_checked(settings: Mapping[str, Any], *, model: ModelRef, base: ModelRef | None) -> EvaluateSpec:
    """What the settings amount to. Raises SettingRefused: also for a setting that there is not, which would pass unseen."""
    for name in settings:
        if name in RESERVED:
            raise SettingRefused("settings", f"{name}: not a setting.")
        if name not in EvaluateSettings.model_fields:
            raise SettingRefused("settings", f"There is no setting “{name}”{_meant(name, EvaluateSettings)}.")
    try:
        spec = EvaluateSpec(model=model, base=base, benchmark=Path("benchmark"), **settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        together = first.get("ctx", {}).get("field")
        raise SettingRefused(together or where or "settings", first["msg"] if together else f"{where}: {first['msg']}") from error
    for at, part, name in _unknown(spec.hardware, "hardware"):
        raise SettingRefused(f"{at}.{name}", f"There is no setting “{at}.{name}”{_meant(name, type(part))}.")
    return spec


def _unknown(part: BaseModel, at: str) -> Iterator[tuple[str, BaseModel, str]]:
    """The fields that a part of the settings has and its schema has not."""
    for name in part.model_extra or {}:
        yield at, part, name
    for name in type(part).model_fields:
        if isinstance(inner := getattr(part, name), BaseModel):
            yield from _unknown(inner, f"{at}.{name}")


def _meant(name: str, schema: type[BaseModel]) -> str:
    found = get_close_matches(name, schema.model_fields, n=1)
    return f"; did you mean “{found[0]}”?" if found else ""
