"""Carry out an evaluation: `python -m evaluation.execute FOLDER`.

Reads `evaluate.json` in the folder; writes `answers.jsonl` and, where there is a base model, `base_answers.jsonl`
(judged answers), `scorecard.json`, `progress.json` and `result.json`. Needs no Django and no database. What a model
replied is kept by model, prompt and way of asking, so a base model answers a benchmark once, and one more question costs
one more answer. SIGTERM ends the process between two batches; the same command in the same folder goes on from there.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from accounts.chat.service import Ledger, summed
from annotations.verdicts import Verdict
from evaluation.answers import AnswerRow, answers_write
from evaluation.asking.asker import Asker
from evaluation.asking.interview import Interview, Plan, known_by_samples, with_knowledge
from evaluation.asking.kept import forget_oldest
from evaluation.asking.local import LocalModel, reference_logprobs
from evaluation.asking.preferring import preferences_of, rewarded_pairs
from evaluation.asking.service import ServiceModel
from evaluation.benchmarks.folder import BenchmarkFolder, benchmark_read
from evaluation.guard.asking import guard_answers
from evaluation.guard.items import guard_set
from evaluation.guard.trials import Given, Others
from evaluation.guard.verdict import guard_report
from evaluation.harnesses.asker import HarnessAsker
from evaluation.harnesses.model import HarnessModel
from evaluation.harnesses.tasks import TASKS_OF, TaskAnswers, TaskLoader, TaskModel, others_between, others_unasked
from evaluation.scorecards.scorecard import ArtifactRef, BenchmarkRef, RewardedPair, Sampling, Scorecard, scorecard_make
from evaluation.specs import ANSWERS, BASE_ANSWERS, ON_THE_CARD, SCORECARD, SPEC, EvaluateSpec, ModelRef
from evaluation.validator.answers import said_of
from evaluation.validator.report import validator_report
from jobs.child import report_progress, report_result, write_whole
from training.child_main import child_main
from training.environment import describe_environment
from training.exceptions import BadSpec, Stopped, TrainingError
from training.stopping import StopRequest
from training.virtual_environments import Progress

PROGRESS_EVERY_S = 1.0
T = TypeVar("T", bound=HarnessModel)


@dataclass
class Asked:
    """A model's judged answers, how they came about, and how many replies were not there already."""

    reference: ArtifactRef
    model: LocalModel | ServiceModel | HarnessModel
    interview: Interview
    rows: list[AnswerRow]
    guarded: list[Given] = field(default_factory=list)
    """What it said to the guard's items."""
    tasked: TaskModel | None = None
    """The same model, as lm-eval asked it tasks."""

    def usage(self) -> dict[str, Any]:
        """What was used of a service; nothing for a model of this machine."""
        askers = [one for one in (self.model, self.tasked) if one is not None and not isinstance(one, LocalModel)]
        used = [counts for one in askers if (counts := one.usage())]
        return summed(used) if used else {}


def main(arguments: list[str]) -> int:
    """Carry out the evaluation in the folder that is named; see `child_main` for the exit status."""
    return child_main(
        arguments,
        lambda folder, stop: report_result(evaluate(folder, stop), folder=folder),
        usage="python -m evaluation.execute FOLDER",
    )


def evaluate(folder: Path, stop: StopRequest) -> dict[str, Any]:
    """Write the evaluation's files into `folder`; returns its result. Raises Stopped, or a TrainingError."""
    started = time.perf_counter()
    folder = folder.resolve()
    spec = _read_spec(folder / SPEC)
    benchmark = benchmark_read(spec.benchmark.resolve())
    cache = folder / "replies" if spec.cache is None or spec.fresh else spec.cache
    progress = _Progress(folder, _replies(spec, len(benchmark.questions)))
    if spec.tasks:  # before hours are spent on a name that is mistyped
        loader = _task_model(TaskLoader, spec, spec.model, benchmark, folder=folder, tell=progress.making)
        loader.tasks_load(spec.tasks, stop=stop)
    asked: list[Asked] = []
    for model in [spec.model] + ([spec.base] if spec.base else []):
        asked.append(_ask(spec, model, benchmark, folder=folder, cache=cache, stop=stop, progress=progress))
    _label_by_samples(spec, asked)
    if spec.kl:
        _measure_divergence(spec, asked, cache=cache, stop=stop, progress=progress)
    pairs = _read_pairs(asked, benchmark, cache=cache, stop=stop, progress=progress) if spec.preferences else []
    others = _ask_tasks(spec, benchmark, asked, folder=folder, stop=stop, progress=progress) if spec.tasks else None
    scorecard = _score(spec, benchmark, asked, pairs, others)
    if isinstance(asked[0].interview.asker, HarnessAsker):
        scorecard.harness = asked[0].interview.asker.described()
    for name, one in zip((ANSWERS, BASE_ANSWERS), asked, strict=False):
        answers_write(folder / name, one.rows)
    write_whole(folder / SCORECARD, scorecard.model_dump_json(indent=1).encode())
    forget_oldest(cache)
    progress.done(f"{len(asked) * len(benchmark.questions)} answers judged")
    return _result(scorecard, asked, progress, seconds=time.perf_counter() - started)


def _read_spec(path: Path) -> EvaluateSpec:
    try:
        return EvaluateSpec.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BadSpec(f"There is no {path}.") from error
    except ValidationError as error:
        raise BadSpec(f"{path.name}: {error}", "Correct the named fields.") from error


def _plan(spec: EvaluateSpec) -> Plan:
    return Plan(
        max_new_tokens=spec.max_new_tokens,
        samples=spec.samples,
        temperature=spec.temperature,
        elicit=spec.elicit,
        confidence=spec.confidence,
        probes=spec.probes,
        language=spec.language,
        seed=spec.seed,
    )


def _replies(spec: EvaluateSpec, questions: int) -> int:
    """How many replies are planned; those that are read and not asked for among them."""
    models = 2 if spec.base else 1
    read = (1 + spec.samples if spec.kl else 0) + (2 * models if spec.preferences else 0)
    guarded = models * len(guard_set().items) if spec.guards else 0
    return questions * (models * _plan(spec).replies + read) + guarded


def _ask(
    spec: EvaluateSpec,
    model: ModelRef,
    benchmark: BenchmarkFolder,
    *,
    folder: Path,
    cache: Path,
    stop: StopRequest,
    progress: _Progress,
) -> Asked:
    if stop.asked:
        raise Stopped
    place = folder / "harness" / model.name
    used = folder / f"usage-{model.name}.jsonl"
    asked = _model(spec, model, benchmark, folder=place, used=used, tell=progress.making)
    progress.about = model.name
    if isinstance(asked, HarnessModel):
        asker: Asker = HarnessAsker(asked, place / "replies", cache, stop=stop, tell=progress)
    else:
        asker = Asker(asked, cache, stop=stop, tell=progress)
    progress.askers.append(asker)
    interview = Interview(benchmark, _plan(spec), asker, skip=progress.skip)
    rows = interview.rows()
    guarded = guard_answers(asker) if spec.guards else []
    if not isinstance(asked, ServiceModel):
        asked.unload()  # the next one needs the room
    reference = ArtifactRef(name=model.name, hash=asked.digest, path=model.path or None)
    return Asked(reference, asked, interview, rows, guarded)


def _model(
    spec: EvaluateSpec, model: ModelRef, benchmark: BenchmarkFolder, *, folder: Path, used: Path, tell: Progress
) -> LocalModel | ServiceModel | HarnessModel:
    how: dict[str, Any] = {"hardware": spec.hardware, "prompt_format": spec.prompt_format, "batch_size": spec.batch_size}
    service = model.endpoint
    inner = LocalModel(model.path, **how) if service is None else ServiceModel(service, Ledger(used))
    if spec.harness is None:
        return inner
    through = Ledger(used.with_name(f"harness-{used.name}"))
    return HarnessModel(spec.harness, inner, benchmark, folder, path=model.path, service=service, tell=tell, used=through, **how)


def _label_by_samples(spec: EvaluateSpec, asked: list[Asked]) -> None:
    """Where the benchmark's own labels are not to count: known is what the base model's samples get right."""
    if spec.knowledge == "samples":
        known = known_by_samples(asked[-1].rows, share=spec.known_share)
        for one in asked:
            one.rows = with_knowledge(one.rows, known)


def _task_model(
    kind: type[T], spec: EvaluateSpec, model: ModelRef, benchmark: BenchmarkFolder, *, folder: Path, tell: Progress
) -> T:
    how: dict[str, Any] = {"hardware": spec.hardware, "prompt_format": spec.prompt_format, "batch_size": spec.batch_size}
    inner = LocalModel(model.path, **how) if model.endpoint is None else ServiceModel(model.endpoint)
    place, used = folder / "harness" / model.name, Ledger(folder / f"usage-tasks-{model.name}.jsonl")
    return kind(TASKS_OF, inner, benchmark, place, path=model.path, service=model.endpoint, tell=tell, used=used, **how)


def _ask_tasks(
    spec: EvaluateSpec, benchmark: BenchmarkFolder, asked: list[Asked], *, folder: Path, stop: StopRequest, progress: _Progress
) -> Others:
    """Tasks of lm-eval's own, of both models. Whatever happens to them, the rest of the scorecard stands. Raises Stopped."""
    answered: list[TaskAnswers] = []
    for model, one in zip([spec.model, spec.base], asked, strict=False):
        assert model is not None
        progress.about = f"{model.name}: {', '.join(spec.tasks)}"
        one.tasked = _task_model(TaskModel, spec, model, benchmark, folder=folder, tell=progress.making)
        try:
            answered.append(one.tasked.tasks_answered(spec.tasks, limit=spec.task_limit, stop=stop))
        except TrainingError as error:
            print(error.reason, error.hint, file=sys.stderr)
            return others_unasked(spec.tasks, f"{model.name} could not be asked: {error.reason}", limit=spec.task_limit)
    return others_between(spec.tasks, *answered, limit=spec.task_limit)


def _measure_divergence(spec: EvaluateSpec, asked: list[Asked], *, cache: Path, stop: StopRequest, progress: _Progress) -> None:
    """Have the base model read what the model said: the answers, and the samples that a divergence can be estimated from."""
    trained, reference = asked[0], asked[1].model
    assert isinstance(reference, LocalModel)
    progress.about = f"{spec.model.name} read by {asked[1].reference.name}"
    replies = [[first, *drawn] for first, drawn in zip(trained.interview.first, trained.interview.drawn, strict=True)]
    questions = trained.interview.benchmark.questions
    given = [(question.prompt, reply) for question, said in zip(questions, replies, strict=True) for reply in said]
    read = reference_logprobs(reference, given, folder=cache, stop=stop, tell=progress)
    each = spec.samples + 1
    trained.rows = [
        row.model_copy(
            update={
                "reference_logprob": first,
                "samples": [
                    one.model_copy(update={"reference_logprob": value}) for one, value in zip(row.samples, drawn, strict=True)
                ],
            }
        )
        for row, (first, *drawn) in zip(trained.rows, (read[at : at + each] for at in range(0, len(read), each)), strict=True)
    ]


def _read_pairs(
    asked: list[Asked], benchmark: BenchmarkFolder, *, cache: Path, stop: StopRequest, progress: _Progress
) -> list[RewardedPair]:
    """Have the models read a right and a wrong answer to each question."""
    progress.about = f"{asked[0].reference.name} reads right and wrong answers"
    pairs = preferences_of(benchmark, asked[0].rows)
    models = [one.model for one in asked if isinstance(one.model, LocalModel)]
    progress.skip(2 * len(models) * (len(benchmark.questions) - len(pairs)))
    base = models[1] if len(models) > 1 else None
    return rewarded_pairs(pairs, models[0], base, folder=cache, stop=stop, tell=progress)


def _score(
    spec: EvaluateSpec, benchmark: BenchmarkFolder, asked: list[Asked], pairs: list[RewardedPair], others: Others | None
) -> Scorecard:
    base = asked[1] if len(asked) > 1 else None
    sampling = Sampling(spec.resamples, spec.seed)
    before = base.guarded if base else None
    guard = guard_report(guard_set(), asked[0].guarded, before, others=others, sampling=sampling) if spec.guards else None
    said = said_of(asked[0].rows, base.rows if base else ()) if spec.validator else []
    validator = validator_report(said, sampling=sampling) if said else None
    return scorecard_make(
        asked[0].rows,
        artifact=asked[0].reference,
        benchmark=BenchmarkRef(name=benchmark.name, version=benchmark.version, hash=benchmark.hash),
        base_rows=base.rows if base else (),
        base=base.reference if base else None,
        settings=spec.model_dump(mode="json", include=set(ON_THE_CARD)) | {"greedy": not any(row.drawn for row in asked[0].rows)},
        environment=describe_environment(),
        sampling=sampling,
        preferences=pairs,
        guard=guard.model_dump(mode="json") if guard else None,
        validator=validator.model_dump(mode="json") if validator else None,
    )


def _result(scorecard: Scorecard, asked: list[Asked], progress: _Progress, *, seconds: float) -> dict[str, Any]:
    services = [used for one in asked if (used := one.usage())]
    return {
        "n": scorecard.n,
        "headline": {name: metric.value for name, metric in scorecard.metrics.items()},
        "conclusion": scorecard.conclusions[scorecard.headline[0]].text,
        "verdicts": {verdict.value: sum(row.verdict is verdict for row in asked[0].rows) for verdict in Verdict},
        "cached": [one.interview.asker.asked == 0 for one in asked],
        "asked": [one.interview.asker.asked for one in asked],
        "answers_per_second": progress.rate or None,
        "seconds": round(seconds, 3),
        **({"usage": summed(services)} if services else {}),
    }


class _Progress:
    """Tells how many replies there are of those planned, but at most once a second, and how fast they come."""

    def __init__(self, folder: Path, total: int) -> None:
        self.about = ""
        self.askers: list[Asker] = []
        self._folder, self._total, self._done = folder, total, 0
        self._began, self._told = time.monotonic(), 0.0

    def __call__(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._told >= PROGRESS_EVERY_S:
            self._tell(f"{self.about}: {self._done} of {self._total} replies")

    def skip(self, count: int) -> None:
        """So many replies are not needed after all."""
        self._total -= count

    def making(self, done: int, total: int, note: str) -> None:
        """What has to be made first, and how far that is."""
        self._tell(f"{note} ({done} of {total})")

    def done(self, note: str) -> None:
        self._done = self._total
        self._tell(note)

    @property
    def rate(self) -> float:
        """Replies a second so far, without those that were there already."""
        return round(sum(asker.asked for asker in self.askers) / max(time.monotonic() - self._began, 1e-9), 3)

    def _tell(self, note: str) -> None:
        self._told = time.monotonic()
        report_progress(
            done=self._done, total=self._total, note=note, rates={"samples_per_second": self.rate}, folder=self._folder
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
