"""Everything that starts, continues and ends a self-rewarding loop. Page, API and command call these.

A loop is a pipeline of jobs. A round is queued whole when the round before it was decided: generate → judge → clean → train →
evaluate → decide. What a loop knows beside its jobs stands in its pipeline's payload: `settings`, `start` and one entry a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from accounts import audit
from accounts.models import User
from annotations.models import DatasetVersion
from annotations.services import DatasetRefused
from evaluation.metrics import METRICS
from evaluation.models import Benchmark, Evaluation
from evaluation.self_rewarding.judges import NoSuchJudge, judge_chosen
from evaluation.self_rewarding.prompts import NoPrompts
from evaluation.self_rewarding.rounds import Loop, free_name, stage_queue
from evaluation.self_rewarding.settings import STAGES, LoopSettings, Stage, recipe_for
from evaluation.services import EvaluationRefused, evaluation_queue
from jobs.models import ENDED, Job, Pipeline
from jobs.services import JobRefused, pipeline_create, pipeline_requeue, pipeline_stop
from training.models import Artifact
from training.services import RunRefused, run_queue
from training.specs import faults_of

PIPELINE_KIND = "self-rewarding"
DONE, EARLY = "done", "early"
REFUSALS = (RunRefused, EvaluationRefused, DatasetRefused, JobRefused, NoPrompts, NoSuchJudge)


class LoopRefused(ValueError):  # noqa: N818 - a refusal is no accident
    """A loop that cannot work, or a step that cannot be taken. `field` names what to change; the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@transaction.atomic
def loop_start(*, wanted: LoopSettings, actor: User | None, stages: Sequence[Stage] = STAGES) -> Pipeline:
    """Queue the first round, and a scorecard of the model as it is; the others follow by themselves. With fewer `stages` only
    these are queued, and `stage_continue` queues what comes after. Raises LoopRefused.
    """
    model, benchmark = _model(wanted), _benchmark(wanted)
    if wanted.metric not in METRICS:
        raise LoopRefused("metric", f"There is no metric “{wanted.metric}”; there are {', '.join(METRICS)}.")
    if METRICS[wanted.metric].better != "higher":
        raise LoopRefused("metric", f"“{wanted.metric}” is better the lower it is: choose one of which more is better.")
    if list(stages) != list(STAGES[: len(stages)]) or not stages:
        raise LoopRefused("stages", f"A round begins with {STAGES[0]}; each stage follows the one before: {', '.join(STAGES)}.")
    try:
        chosen = wanted.model_copy(update={"judge": judge_chosen(wanted)})
        pipeline = pipeline_create(name=f"Self-rewarding: {model.name}", kind=PIPELINE_KIND, payload={}, actor=actor)
        pipeline.payload = {"settings": chosen.model_dump(mode="json"), "rounds": [], "ended": ""}
        loop = Loop(pipeline, chosen, actor)
        start, after = _fine_tuned(loop, model)
        pipeline.payload |= {"start": start.name, "start_evaluation": _start_evaluation(loop, start, benchmark, after).pk}
        pipeline.payload["auto"] = list(stages) == list(STAGES)
        loop.begin_round(start)
        for stage in stages:
            stage_queue(loop, stage, after=after)
    except NoPrompts as refused:
        raise LoopRefused("prompts", str(refused)) from refused
    except NoSuchJudge as refused:
        raise LoopRefused("judge", str(refused)) from refused
    except REFUSALS as refused:
        raise LoopRefused(getattr(refused, "field", "") or "model", str(refused)) from refused
    pipeline.save(update_fields=["payload"])
    audit.record(actor=actor, action="evaluation.self_rewarding_started", target=pipeline, detail=chosen.model_dump(mode="json"))
    return pipeline


def _model(wanted: LoopSettings) -> Artifact:
    model = Artifact.objects.filter(name=wanted.model).first()
    if model is None:
        raise LoopRefused("model", f"There is no model “{wanted.model}”; `rlwhf models` lists those that there are.")
    if model.ready_at is None or model.purpose != Artifact.Purpose.POLICY:
        why = "it is not trained yet" if model.ready_at is None else f"it is {model.purpose_in_words}"
        raise LoopRefused("model", f"“{model}” cannot answer: {why}.")
    return model


def _benchmark(wanted: LoopSettings) -> Benchmark:
    benchmark = Benchmark.objects.filter(hash=wanted.benchmark).first()
    if benchmark is None:
        raise LoopRefused("benchmark", "There is no such benchmark; `rlwhf benchmarks` lists those that there are.")
    return benchmark


def _fine_tuned(loop: Loop, model: Artifact) -> tuple[Artifact, list[Job]]:
    """The model that the first round starts from: the one named, or what fine-tuning makes of it first."""
    wanted = loop.wanted
    if not wanted.sft_dataset:
        return model, []
    dataset = DatasetVersion.objects.filter(name=wanted.sft_dataset).first()
    if dataset is None:
        raise LoopRefused("sft_dataset", f"There is no dataset version “{wanted.sft_dataset}”.")
    run = run_queue(
        name=free_name(f"{loop.stem}-sft", Artifact),
        recipe=wanted.sft_recipe or recipe_for("sft", wanted.hardware_tag),
        dataset=dataset,
        base=model,
        overrides={"seed": wanted.seed},
        hardware_tag=wanted.hardware_tag,
        actor=loop.actor,
        pipeline=loop.pipeline,
    )
    loop.pipeline.payload["sft"] = run.name
    return run.artifact, [run.job]


def _start_evaluation(loop: Loop, start: Artifact, benchmark: Benchmark, after: list[Job]) -> Evaluation:
    """A scorecard of the model that the loop starts from; the same one where it has one."""
    same = loop.evaluate_settings | {"hardware": {"profile": loop.wanted.hardware_tag}}
    known = Evaluation.objects.done().filter(artifact=start, benchmark=benchmark, settings=same, job__state="succeeded").first()
    if known is not None:
        return known
    return evaluation_queue(
        artifact=start,
        benchmark=benchmark,
        settings=loop.evaluate_settings,
        hardware_tag=loop.wanted.hardware_tag,
        actor=loop.actor,
        pipeline=loop.pipeline,
        after=after,
    )


@transaction.atomic
def stage_continue(*, pipeline: Pipeline, stage: Stage, actor: User | None, settings: dict[str, Any] | None = None) -> Job:
    """Queue the next stage of a loop that goes stage by stage; after `decide`, `generate` begins the next round. `settings` are
    changed from there on. Raises LoopRefused.
    """
    loop = _locked(pipeline, actor)
    if settings:
        _changed(loop, settings)
    entry = loop.rounds[-1]
    left = [one for one in STAGES if one not in entry["jobs"]]
    if not left:
        _check_next(loop)
        left = list(STAGES)
    if stage != left[0]:
        raise LoopRefused("stage", f"The next stage of this loop is {left[0]}, not {stage}.")
    try:
        if len(left) == len(STAGES) and entry["jobs"]:
            loop.begin_round(loop.model_after(entry))
        job = stage_queue(loop, stage)
    except REFUSALS as refused:
        raise LoopRefused(getattr(refused, "field", "") or "stage", str(refused)) from refused
    loop.save()
    audit.record(actor=actor, action="evaluation.self_rewarding_stage", target=loop.pipeline, detail={"stage": stage})
    return job


def _changed(loop: Loop, settings: dict[str, Any]) -> None:
    fixed = {"model", "benchmark", "method", "metric", "sft_dataset"} & set(settings)
    if fixed:
        raise LoopRefused("settings", f"A loop keeps its {', '.join(sorted(fixed))}: begin another one.")
    try:
        loop.change(settings)
        loop.change({"judge": judge_chosen(loop.wanted)})
    except ValidationError as error:
        raise LoopRefused("settings", faults_of(error)) from error
    except NoSuchJudge as refused:
        raise LoopRefused("judge", str(refused)) from refused


def _check_next(loop: Loop) -> None:
    decision = loop.rounds[-1].get("decision")
    if decision is None:
        raise LoopRefused("stage", "The last round is not decided yet.")
    if len(loop.rounds) >= loop.wanted.rounds:
        raise LoopRefused("stage", f"All {loop.wanted.rounds} rounds are done.")


@transaction.atomic
def round_decided(*, job: Job, decision: dict[str, Any]) -> Pipeline:
    """Write down what a round's last job decided, and queue the next round where there is to be one.

    Runs while the job ends, so that a round is decided and followed once; what cannot be queued is told in `problem`.
    """
    loop = _locked(Pipeline.objects.get(pk=job.payload["pipeline"]), None)
    entry = loop.rounds[job.payload["round"] - 1]
    entry["decision"] = decision
    if not decision["goes_on"]:
        loop.pipeline.payload["ended"] = EARLY
    elif len(loop.rounds) >= loop.wanted.rounds:
        loop.pipeline.payload["ended"] = DONE
    elif loop.pipeline.payload["auto"] and not Job.objects.get(pk=job.pk).cancel_requested:
        _next_round(loop)
    loop.save()
    return loop.pipeline


def _next_round(loop: Loop) -> None:
    loop.pipeline.payload.pop("problem", None)
    before = len(loop.rounds)
    try:
        with transaction.atomic():
            loop.begin_round(loop.model_after(loop.rounds[-1]))
            for stage in STAGES:
                stage_queue(loop, stage)
    except REFUSALS as refused:
        del loop.rounds[before:]
        loop.pipeline.payload["problem"] = str(refused)


@transaction.atomic
def loop_stop(*, pipeline: Pipeline, actor: User | None) -> None:
    """Stop what has not ended; nothing that was made is lost, and `loop_resume` goes on."""
    pipeline_stop(pipeline=pipeline, actor=actor)
    # Jobs are locked before the loop, as where a job ends: the next round may have been queued meanwhile.
    loop = _locked(pipeline, actor)
    pipeline_stop(pipeline=loop.pipeline, actor=actor)
    audit.record(actor=actor, action="evaluation.self_rewarding_stopped", target=pipeline)


@transaction.atomic
def loop_resume(*, pipeline: Pipeline, actor: User | None, regardless: bool = False) -> None:
    """Go on where a loop stands: what failed or was stopped is queued again; a loop that goes stage by stage is done to its end.

    `regardless`: also after it ended early. Raises LoopRefused where there is nothing to go on with.
    """
    pipeline_requeue(pipeline=pipeline, actor=actor)
    loop = _locked(pipeline, actor)
    payload = loop.pipeline.payload
    if payload["ended"] == DONE:
        raise LoopRefused("loop", "All rounds are done.")
    if payload["ended"] == EARLY and not regardless:
        raise LoopRefused("loop", "The loop ended early, because honesty fell. Say so where it is to go on all the same.")
    payload["auto"] = True
    under_way = loop.pipeline.jobs.exclude(state__in=ENDED).exists()
    entry = loop.rounds[-1]
    try:
        for stage in [one for one in STAGES if one not in entry["jobs"]]:
            stage_queue(loop, stage)
            under_way = True
    except REFUSALS as refused:
        raise LoopRefused("stage", str(refused)) from refused
    if not under_way:
        _check_next(loop)
        payload["ended"] = ""
        _next_round(loop)
        if "problem" in payload:
            raise LoopRefused("loop", payload["problem"])
    loop.save()
    detail: dict[str, object] = {"regardless": regardless}
    audit.record(actor=actor, action="evaluation.self_rewarding_resumed", target=pipeline, detail=detail)


def _locked(pipeline: Pipeline, actor: User | None) -> Loop:
    """The loop, held until the transaction ends. A worker elsewhere may not read people's passwords."""
    found = Pipeline.objects.select_for_update(of=("self",)).select_related("requested_by").defer("requested_by__password")
    row = found.get(pk=pipeline.pk, kind=PIPELINE_KIND)
    return Loop(row, LoopSettings.model_validate(row.payload["settings"]), actor or row.requested_by)
