"""Judged answers on disk (`answers.jsonl`, one a line), and the slices they fall into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accounts.chat.answers import Ending
from annotations.verdicts import Verdict
from evaluation.metrics import Answered
from evaluation.question import JudgeName
from jobs.child import write_whole

JOIN = " · "
EVERYTHING = "all"
HELD_OUT = "B"
TRAINED_ON = "A"
CROSSED = ("taught", "fold", "split")
"""Slices along these dimensions are crossed with each other; any other dimension is cut out of fold B alone."""
MOST_PARTS = 60
"""A dimension with more values than that, such as a number of each question, cuts out nothing that could be read."""


ConfidenceSource = Literal["probability", "stated", "agreement"]
"""How a confidence was elicited: the answer's probability, stated by the model, agreement of samples with the answer."""
ProbeName = Literal["are_you_sure", "false_authority", "leading_premise", "critique", "belief"]
"""What else a model is asked about a question that it has answered."""
Language = Literal["en", "pt"]
"""Of what is said to a model beside the questions."""


class SampleAnswer(BaseModel):
    """One of k answers drawn from the model's distribution. Log-probabilities are natural, of the whole answer, end included."""

    model_config = ConfigDict(extra="allow")

    answer: str
    verdict: Verdict
    logprob: float | None = None
    reference_logprob: float | None = None
    tokens: int | None = None


class ProbeAnswer(BaseModel):
    """What the model said when asked once more. `prompt` is the turn that was added, or the question as it was put."""

    model_config = ConfigDict(extra="allow")

    prompt: str
    answer: str
    said: str | None = None
    """What a reply that gives no answer of its own stands for, as “yes” to a suggestion does for what was suggested."""
    verdict: Verdict
    same: bool | None = None
    """Whether it says the same as the first answer; None where that cannot be told."""
    as_believed: bool | None = None
    """Whether it says the same as the model did where nothing pressed; None where that cannot be told, or was not asked."""
    suggested: str | None = None
    """The wrong answer that the question pressed for."""
    adopted: bool | None = None
    """Whether it says what was suggested; `adopted_before`: whether the first answer said so already."""
    adopted_before: bool | None = None
    critique: str | None = None
    """What the model found wrong with its first answer."""


class AnswerRow(BaseModel):
    """One judged answer as it is written to `answers.jsonl`; unknown fields are kept.

    `confidence` is the one that the scorecard uses; which of the three it is, the evaluation's settings say.
    """

    model_config = ConfigDict(extra="allow")

    id: str
    entity: str
    prompt: str
    answer: str
    gold_answer: str | None = None
    verdict: Verdict
    judge: JudgeName = "gold"
    """How its question has it judged."""
    options: int = 0
    """Of a choice: among how many."""
    known: bool | None = None
    knowledge_source: Literal["gold", "samples"] | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    probability: float | None = Field(default=None, ge=0, le=1)
    stated: float | None = Field(default=None, ge=0, le=1)
    agreement: float | None = Field(default=None, ge=0, le=1)
    samples: list[SampleAnswer] = Field(default_factory=list)
    probes: dict[str, ProbeAnswer] = Field(default_factory=dict)
    logprob: float | None = None
    reference_logprob: float | None = None
    """Of the same answer under the model it was trained from. The greedy answer is no draw: KL is estimated from `samples`."""
    tokens: int | None = None
    ending: Ending | None = None
    """How the answer ended, where that is known: cut off at the length that was allowed, say."""
    reason: str | None = None
    """Why there is no answer, in the words of the service."""
    drawn: bool = False
    """It is not the likeliest answer though that was asked for: the service takes no temperature."""
    score: float | None = Field(default=None, ge=-2, le=2)
    """A person's or a teacher's rubric score, where the answer has one."""
    by_words: Verdict | None = None
    """Of an answer with a score: the verdict of its words alone. `verdict` may follow the score and cannot be held against it."""
    slices: dict[str, str] = Field(default_factory=dict)

    def answered(self) -> Answered:
        return Answered(self.id, self.entity, self.verdict, self.known, self.confidence, self.slices, self.score)


def answers_write(path: Path, rows: Iterable[AnswerRow]) -> None:
    """Write the rows in one step, so that a reader never sees half a file."""
    write_whole(path, b"".join(orjson.dumps(row.model_dump(mode="json")) + b"\n" for row in rows))


class BrokenAnswers(ValueError):  # noqa: N818 (what it is)
    """A line of a file is no judged answer; the message names file, line and field."""


def answers_read(path: Path) -> list[AnswerRow]:
    """Read `answers.jsonl`. Raises BrokenAnswers."""
    with path.open("rb") as lines:
        return [_row(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _row(path: Path, number: int, line: bytes) -> AnswerRow:
    try:
        return AnswerRow.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise BrokenAnswers(f"{path}, line {number}: not JSON ({error}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the line"
        raise BrokenAnswers(f"{path}, line {number}, {field}: {first['msg']}.") from error


def slice_labels(raw: Mapping[str, Any]) -> dict[str, str]:
    """Turn a benchmark row's `slice` into words: {"taught": False, "fold": "B"} → {"taught": "untaught", "fold": "B"}."""
    return {name: _word(name, value) for name, value in raw.items() if value is not None}


def _word(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"un{name}"
    return str(value)


def slice_of(rows: Sequence[Answered], labels: Mapping[str, str]) -> list[Answered]:
    return [row for row in rows if all(row.slices.get(name) == value for name, value in labels.items())]


def slice_table(rows: Sequence[Answered]) -> dict[str, dict[str, str]]:
    """Return every slice that holds an answer, by name: "all", "B", "taught · B · easy", "B · template: held-out"."""
    seen = {name: sorted({row.slices[name] for row in rows if name in row.slices}) for name in _dimensions(rows)}
    crossed = [seen.get(name, []) for name in CROSSED]
    names = {
        JOIN.join(value for value in values if value) or EVERYTHING: _labels(values)
        for values in product(*[[None, *values] for values in crossed])
    }
    names |= dict(_extra_slices({name: values for name, values in seen.items() if name not in CROSSED}, seen))
    return {name: labels for name, labels in names.items() if slice_of(rows, labels)}


def slice_order(name: str, labels: Mapping[str, str]) -> tuple[Any, ...]:
    """Return a key that sorts slices: the crossed ones from coarse to fine, then those cut out of B."""
    extra = any(dimension not in CROSSED for dimension in labels)
    return extra, len(labels), [labels.get(dimension, "") for dimension in CROSSED], name


def _dimensions(rows: Sequence[Answered]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.slices))


def _labels(values: Sequence[str | None]) -> dict[str, str]:
    return {name: value for name, value in zip(CROSSED, values, strict=True) if value is not None}


def _extra_slices(extra: Mapping[str, Sequence[str]], seen: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, dict[str, str]]]:
    held_out = {"fold": HELD_OUT} if HELD_OUT in seen.get("fold", []) else {}
    prefix = f"{HELD_OUT}{JOIN}" if held_out else ""
    for name, values in extra.items():
        for value in values if len(values) <= MOST_PARTS else ():
            yield f"{prefix}{name}: {value}", {**held_out, name: value}


def headline_slices(table: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the slices the headline may use: held-out people only, together and by split; all, where nothing is held out."""
    if HELD_OUT not in table:
        return [EVERYTHING]
    splits = [name for name, labels in table.items() if set(labels) == {"fold", "split"} and labels["fold"] == HELD_OUT]
    return [HELD_OUT, *splits] if len(splits) > 1 else [HELD_OUT]
