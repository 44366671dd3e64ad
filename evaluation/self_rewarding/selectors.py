"""What page, API, command and report read about self-rewarding loops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch, QuerySet

from annotations.models import DatasetVersion
from evaluation.chatting.jobs import KIND as SERVING_KIND
from evaluation.models import Benchmark, Evaluation
from evaluation.self_rewarding.few import few_rows
from evaluation.self_rewarding.services import DONE, EARLY, PIPELINE_KIND
from evaluation.self_rewarding.settings import STAGES, LoopSettings, Stage
from jobs.models import ENDED, Job, Pipeline, State
from jobs.selectors import jobs_at_work, pipeline_state
from training.models import Artifact, Run


@dataclass(frozen=True)
class Step:
    """A stage of a round, and its job where it is queued."""

    stage: Stage
    job: Job | None


@dataclass(frozen=True)
class Round:
    """A round with all that came of it so far. `figures` are `training.self_reward.figures`, `honesty` the metric held out."""

    number: int
    model: str
    steps: list[Step]
    dataset: DatasetVersion | None
    run: Run | None
    evaluation: Evaluation | None
    decision: dict[str, Any] | None
    figures: dict[str, Any] | None

    @property
    def state(self) -> State:
        return pipeline_state([step.job for step in self.steps if step.job is not None])


@dataclass(frozen=True)
class LoopDetail:
    """A loop with its rounds; `left` is how many rounds were asked for and are not begun."""

    pipeline: Pipeline
    settings: LoopSettings
    benchmark: Benchmark | None
    start: Artifact | None
    start_evaluation: Evaluation | None
    sft: Run | None
    rounds: list[Round]
    jobs: list[Job] = field(repr=False)

    @property
    def ended(self) -> str:
        """ "done" or "early"; empty while it can go on."""
        return str(self.pipeline.payload["ended"])

    @property
    def problem(self) -> str:
        return str(self.pipeline.payload.get("problem", ""))

    @property
    def is_live(self) -> bool:
        return any(job.state not in ENDED for job in self.jobs)

    @property
    def state(self) -> str:
        """In a word or two, for lists."""
        if self.is_live:
            return f"round {len(self.rounds)} of {self.settings.rounds}"
        if self.ended:
            return {DONE: "all rounds done", EARLY: "ended early"}[self.ended]
        states = {job.state for job in self.jobs}
        return next((str(one) for one in (State.FAILED, State.STOPPED) if one in states), "waits for its next stage")

    @property
    def tone(self) -> str:
        """Of the badge that says so."""
        if self.is_live:
            return str(State.RUNNING)
        if self.ended:
            return str(State.SUCCEEDED if self.ended == DONE else State.STOPPED)
        return self.state if self.state in (State.FAILED, State.STOPPED) else str(State.QUEUED)

    @property
    def waiting(self) -> Job | None:
        """The job that is next, where the loop stands still until a worker takes it."""
        states = {job.state for job in self.jobs}
        if states & {State.STARTING, State.RUNNING, State.STOPPING}:
            return None
        return next((job for job in self.jobs if job.state == State.QUEUED), None)

    @property
    def held_by(self) -> list[Job]:
        """Models that are served for chat where it waits: they keep their worker until nobody has asked them for a while."""
        if self.waiting is None:
            return []
        return jobs_at_work(self.waiting.hardware_tag, kind=SERVING_KIND)

    @property
    def can_go_on(self) -> bool:
        return not self.is_live and not self.ended

    @property
    def rounds_left(self) -> int:
        """How many of the rounds that were asked for are not begun."""
        return max(0, self.settings.rounds - len(self.rounds))

    @property
    def next_stage(self) -> Stage | None:
        """What a loop that goes stage by stage takes next; None where every round is done."""
        left = [step.stage for step in self.rounds[-1].steps if step.job is None]
        if left:
            return left[0]
        return STAGES[0] if not self.ended and len(self.rounds) < self.settings.rounds else None


def loops() -> QuerySet[Pipeline]:
    """Loops, newest first, with their jobs."""
    found = Pipeline.objects.filter(kind=PIPELINE_KIND).select_related("requested_by").defer("requested_by__password")
    return found.prefetch_related(Prefetch("jobs", Job.objects.order_by("id")))


def loop_detail(pipeline: Pipeline) -> LoopDetail:
    payload = pipeline.payload
    entries = payload["rounds"]
    jobs = list(pipeline.jobs.all())
    by_pk = {job.pk: job for job in jobs}
    pks = [payload["start_evaluation"], *(entry["evaluation"] for entry in entries if "evaluation" in entry)]
    evaluations = Evaluation.objects.light().in_bulk(pks)
    names = [entry["run"] for entry in entries if "run" in entry] + [payload.get("sft", "")]
    runs = {run.name: run for run in Run.objects.filter(name__in=names).select_related("artifact", "job")}
    datasets = DatasetVersion.objects.in_bulk([one["dataset"] for one in entries if "dataset" in one], field_name="name")
    settings = LoopSettings.model_validate(payload["settings"])
    return LoopDetail(
        pipeline=pipeline,
        settings=settings,
        benchmark=Benchmark.objects.filter(hash=settings.benchmark).first(),
        start=Artifact.objects.filter(name=payload["start"]).first(),
        start_evaluation=evaluations.get(payload["start_evaluation"]),
        sft=runs.get(payload.get("sft", "")),
        rounds=[_round(entry, by_pk, evaluations, runs, datasets) for entry in entries],
        jobs=jobs,
    )


def _round(
    entry: dict[str, Any],
    jobs: dict[int, Job],
    evaluations: dict[int, Evaluation],
    runs: dict[str, Run],
    datasets: dict[str, DatasetVersion],
) -> Round:
    cleaned = jobs.get(entry["jobs"].get("clean", 0))
    return Round(
        number=entry["number"],
        model=entry["model"],
        steps=[Step(stage, jobs.get(entry["jobs"].get(stage, 0))) for stage in STAGES],
        dataset=datasets.get(entry.get("dataset", "")),
        run=runs.get(entry.get("run", "")),
        evaluation=evaluations.get(entry.get("evaluation", 0)),
        decision=entry.get("decision"),
        figures=(cleaned.result or {}).get("figures") if cleaned is not None else None,
    )


def honesty(evaluation: Evaluation | None, metric: str) -> dict[str, Any] | None:
    """The metric on the main held-out slice, `{value, low, high, n}`; None until it is measured."""
    if evaluation is None or not evaluation.headline:
        return None
    found = evaluation.headline["metrics"].get(metric)
    return found if found and found.get("value") is not None else None


def newest_honesty(loop: LoopDetail) -> dict[str, Any] | None:
    """Of the newest model that is measured, the one that the loop began from included."""
    cards = [one.evaluation for one in reversed(loop.rounds)] + [loop.start_evaluation]
    return next((found for card in cards if (found := honesty(card, loop.settings.metric))), None)


def loop_document(loop: LoopDetail) -> dict[str, Any]:
    """All of a loop as JSON."""
    metric = loop.settings.metric
    return {
        "id": loop.pipeline.pk,
        "name": loop.pipeline.name,
        "state": loop.state,
        "ended": loop.ended,
        "problem": loop.problem,
        "next_stage": loop.next_stage,
        "settings": loop.settings.model_dump(mode="json"),
        "prompts": loop.pipeline.payload.get("prompts"),
        "held_out": loop.pipeline.payload.get("held_out", 0),
        "start": {
            "model": loop.start.name if loop.start else None,
            "scorecard": loop.start_evaluation.pk if loop.start_evaluation else None,
            "honesty": honesty(loop.start_evaluation, metric),
        },
        "rounds": [
            {
                "number": one.number,
                "began_from": one.model,
                "stages": {step.stage: _step_document(step) for step in one.steps},
                "dataset": one.dataset.name if one.dataset else None,
                "run": one.run.name if one.run else None,
                "scorecard": one.evaluation.pk if one.evaluation else None,
                "honesty": honesty(one.evaluation, metric),
                "decision": one.decision,
                "figures": one.figures,
                "few": few_rows(one.figures, loop.settings.method),
            }
            for one in loop.rounds
        ],
    }


def _step_document(step: Step) -> dict[str, Any] | None:
    job = step.job
    if job is None:
        return None
    return {"job": job.pk, "state": job.state, "percent": job.percent, "note": job.progress_note, "reason": job.reason}
