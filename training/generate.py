"""Let a model answer prompts: `python -m training.generate FOLDER`.

Reads `generate.json` in the folder and streams `answers.jsonl`, a line `{id, sample, answer, confidence}` per
prompt and sample, and `ended: false` where it was cut off. The same command in the same folder goes on where it was stopped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.child import report_progress, report_result, write_whole
from training.child_main import child_main
from training.data import Row, form_of, read_rows
from training.exceptions import BadSpec, Stopped
from training.specs import HardwareSpec, ModelSpec
from training.stopping import StopRequest

if TYPE_CHECKING:
    from training.sampling import Sampler

PROGRESS_EVERY_S = 1.0


class GenerateSpec(BaseModel):
    """What to ask of which model. `prompts` holds JSON lines `{id, prompt}`; other columns are ignored."""

    model_config = ConfigDict(extra="allow")

    version: Literal[1] = 1
    model: ModelSpec
    prompts: Path
    samples: int = Field(1, ge=1)
    temperature: float = Field(0.0, ge=0, description="0: the likeliest answer.")
    max_new_tokens: int = Field(256, ge=1)
    batch_size: int = Field(64, ge=1)
    prompt_format: Literal["auto", "chat", "plain"] = "auto"
    seed: int = Field(0, ge=0)
    hardware: HardwareSpec = Field(default_factory=HardwareSpec)

    @field_validator("model", mode="before")
    @classmethod
    def path_alone(cls, model: Any) -> Any:
        """A path says all that most models need."""
        return {"path": model} if isinstance(model, str) else model


def main(arguments: list[str]) -> int:
    """Answer as the folder that is named asks for; see `child_main` for the exit status."""
    return child_main(
        arguments,
        lambda folder, stop: report_result(generate(folder, stop), folder=folder),
        usage="python -m training.generate FOLDER",
    )


@dataclass(frozen=True)
class _Question:
    """One answer to be had: of which prompt, the how-manieth, and the prompt's tokens."""

    id: str
    sample: int
    tokens: list[int]


def generate(folder: Path, stop: StopRequest, *, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Write `answers.jsonl`; returns counts and times. Raises Stopped between two batches when asked to stop.

    `progress` is told how many answers of how many there are, in place of the folder's `progress.json`.
    """
    started = time.perf_counter()
    spec = _read_spec(folder / "generate.json")
    os.chdir(folder)
    quiet_libraries(spec.hardware)
    rows = read_rows(spec.prompts, ("prompt",))
    sampler = _sampler(spec)
    batches = _batches(spec, rows, sampler)
    out = folder / "answers.jsonl"
    done = _keep_whole_batches(out, spec.batch_size)
    ready = time.perf_counter()
    stop.defer()
    total = len(rows) * spec.samples
    report = _Progress(folder, total, progress)
    for number, batch in list(enumerate(batches))[done:]:
        _append(out, _answers(sampler, batch, seed=spec.seed + number))
        report(min((number + 1) * spec.batch_size, total))
        if stop.asked and number + 1 < len(batches):
            raise Stopped
    return {
        "answers": total,
        "startup_seconds": round(ready - started, 3),
        "seconds": round(time.perf_counter() - ready, 3),
    }


def _read_spec(path: Path) -> GenerateSpec:
    try:
        return GenerateSpec.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BadSpec(f"There is no {path}.") from error
    except ValidationError as error:
        raise BadSpec(f"{path.name}: {error}", "Correct the named fields.") from error


def quiet_libraries(hardware: HardwareSpec) -> None:
    """Before torch is imported: nothing is reported home, and no card is looked for where none is to be used."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if hardware.profile == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _sampler(spec: GenerateSpec) -> Sampler:
    # torch and transformers take seconds to import: only once the spec and the prompts are known to be good
    from training.loading import load_for  # noqa: PLC0415 (weight)
    from training.sampling import Sampler  # noqa: PLC0415 (weight)

    loaded = load_for(spec.model, spec.hardware)
    return Sampler(
        loaded.model,
        loaded.tokenizer,
        form=form_of(spec.prompt_format, has_template=loaded.tokenizer.chat_template is not None),
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
    )


def _batches(spec: GenerateSpec, rows: list[Row], sampler: Sampler) -> list[list[_Question]]:
    """Always the same batches for the same spec, of prompts alike in length, so that little is padded."""
    tokens = [sampler.tokens(row["prompt"]) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (len(tokens[i]), i))
    questions = [
        _Question(str(rows[i].get("id", rows[i].get("item_id", i))), sample, tokens[i])
        for i in order
        for sample in range(spec.samples)
    ]
    return [questions[i : i + spec.batch_size] for i in range(0, len(questions), spec.batch_size)]


def _answers(sampler: Sampler, batch: list[_Question], *, seed: int) -> Iterator[dict[str, Any]]:
    import torch  # noqa: PLC0415 (weight)

    torch.manual_seed(seed)  # by batch, so that a resumed run says what an undisturbed one would have said
    answers = sampler.answer([question.tokens for question in batch])
    for question, answer in zip(batch, answers, strict=True):
        yield {
            "id": question.id,
            "sample": question.sample,
            "answer": answer.text,
            "confidence": round(answer.confidence, 6),
            **({} if answer.ended else {"ended": False}),
        }


def _append(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("ab") as file:
        file.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def _keep_whole_batches(path: Path, batch_size: int) -> int:
    """How many batches an earlier attempt wrote whole; what it wrote of one more is dropped."""
    if not path.exists():
        return 0
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    whole = len(lines) // batch_size
    write_whole(path, b"".join(lines[: whole * batch_size]))
    return whole


class _Progress:
    """Tells how many answers there are, but at most once a second."""

    def __init__(self, folder: Path, total: int, tell: Callable[[int, int], None] | None) -> None:
        self._folder, self._total, self._tell = folder, total, tell
        self._told = 0.0

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._told < PROGRESS_EVERY_S and done < self._total:
            return
        self._told = time.monotonic()
        if self._tell is not None:
            self._tell(done, self._total)
        else:
            note = f"{done} of {self._total} answers"
            report_progress(done=done, total=self._total, note=note, folder=self._folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
