"""What the children of a loop's own jobs do: write a round's dataset, and decide whether another round follows."""

from __future__ import annotations

from typing import Any

from annotations.jobs import result_of
from annotations.models import DatasetVersion
from annotations.services import DatasetRefused, rows_write
from evaluation.comparing.service import NotComparable, comparison_of
from evaluation.models import Evaluation
from evaluation.self_rewarding.deciding import Decision, Difference, decide
from evaluation.self_rewarding.few import FEWEST, rows_left
from evaluation.self_rewarding.settings import METHODS, LoopSettings
from jobs.models import Job, Pipeline
from jobs.storage.folders import here
from training.self_reward.figures import round_figures
from training.self_reward.rows import rows_made
from training.self_reward.run import judged_in

START, BEFORE = "where the loop began", "the round before"


def round_rows_write(*, job: Job) -> dict[str, Any]:
    """Write the dataset of a round from what was judged; returns what the job hands over, the round's figures among it.

    Raises DatasetRefused, also where nothing is left to train on.
    """
    pipeline = Pipeline.objects.get(pk=job.payload["pipeline"])
    entry, settings = _entry(pipeline, job), LoopSettings.model_validate(pipeline.payload["settings"])
    version = DatasetVersion.objects.get(pk=job.payload["dataset"])
    judged = judged_in(here(Job.objects.get(pk=entry["jobs"]["judge"]).folder), prompts=here(entry["prompts"]))
    asked = version.settings
    made = rows_made(judged, min_gap=asked["min_gap"], temperature=asked["weights_temperature"], logged=0)
    figures = round_figures(judged, made)
    rows = {"dpo": made.dpo, "grpo": made.grpo, "gspo": made.gspo}[settings.method]
    if not rows:
        raise DatasetRefused(_nothing_left(METHODS[settings.method][1], figures["dropped"]), hint=NOTHING_LEFT, field="rows")
    if len(rows) < FEWEST:
        told = f"Only {rows_left(figures, settings.method)}: from so little nothing is learned."
        raise DatasetRefused(told, hint=NOTHING_LEFT, field="rows")
    return result_of(rows_write(version=version, rows={"train": rows})) | {"figures": figures}


NOTHING_LEFT = "Read the samples in the judging job's folder: another judge, more answers to a prompt, or a smaller gap may help."


def _nothing_left(kind: str, dropped: dict[str, dict[str, int]]) -> str:
    why = [f"{count} × {name}" for part in ("answers", "prompts") for name, count in dropped[part].items()]
    return f"None of the answers gives a {kind} row: {', '.join(why) or 'there are none'}."


def round_decide(*, job: Job) -> Decision:
    """Hold a round's model against the one before and the one that the loop began from, by the loop's rule."""
    pipeline = Pipeline.objects.get(pk=job.payload["pipeline"])
    settings = LoopSettings.model_validate(pipeline.payload["settings"])
    rounds, number = pipeline.payload["rounds"], job.payload["round"]
    this = _evaluation(rounds[number - 1]["evaluation"])
    start = _evaluation(pipeline.payload["start_evaluation"])
    others = [(START, start)]
    if number > 1:
        others.insert(0, (BEFORE, _evaluation(rounds[number - 2]["evaluation"])))
    found = [_difference(this, other, role, settings.metric) for role, other in others]
    return decide(found, stop=settings.stop, margin=settings.margin)


def _difference(this: Evaluation, other: Evaluation, role: str, metric: str) -> Difference:
    try:
        table = comparison_of([other, this])
    except NotComparable as refused:
        return Difference(other.model_name, role, None, reason=str(refused))
    found = next(row for row in table.rows if row.name == metric).cells[1].difference
    if found is None or found.value is None:
        return Difference(other.model_name, role, None, reason=(found.reason if found else "") or "it is not defined")
    return Difference(other.model_name, role, found.value, found.low, found.high)


def _evaluation(pk: int) -> Evaluation:
    return Evaluation.objects.light().get(pk=pk)


def _entry(pipeline: Pipeline, job: Job) -> dict[str, Any]:
    entry: dict[str, Any] = pipeline.payload["rounds"][job.payload["round"] - 1]
    return entry
