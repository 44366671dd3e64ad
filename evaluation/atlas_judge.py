"""A judge for Atlas: a teacher for tests and the demo that is a real model, with an error that is known.

    teach (an ordinary run) → ask it about people whom it was not taught about → its error

`rlwhf serve` then makes it a service, and `rlwhf teachers save … --prompt brief-1 --uses-reference` a teacher.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from pydantic import BaseModel, Field

from accounts import audit
from accounts.models import User
from annotations.models import DatasetVersion
from annotations.services import dataset_from_rows
from evaluation.atlas.judge_error import JudgeError, Share, judge_error
from evaluation.atlas.judging_rows import JudgingRows, asked_rows, judging_rows, sft_rows
from evaluation.atlas.world import AtlasSettings, make_world
from jobs.models import Job, Pipeline
from jobs.services import pipeline_create
from training.services import generation_queue, run_queue

PIPELINE_KIND = "atlas.judge"
RECIPE = "atlas-judge"
# A score, and the end of the answer.
SCORE_TOKENS = 4


class JudgeSettings(BaseModel):
    """Which judge is wanted."""

    name: str = Field(RECIPE, description="Of the run, and of the model it makes.")
    error_rate: float = Field(0.0, ge=0, le=1, description="A share between 0 and 1, always wrong in the same way.")
    seed: int = Field(0, ge=0, lt=2**31, description="Of the world, of the wrong labels and of the training.")
    hardware_tag: str = "cpu"
    max_steps: int | None = Field(None, ge=1, description="Empty: the recipe's. Fewer, and it errs more.")


@transaction.atomic
def judge_teach(*, actor: User | None, wanted: JudgeSettings) -> Pipeline:
    """Queue the teaching of a judge, and its answers about people of whom it was taught nothing. Raises RunRefused."""
    rows = judging_rows(make_world(AtlasSettings(seed=wanted.seed)), error_rate=wanted.error_rate, seed=wanted.seed)
    asked = _asked_file(rows)
    title = f"A judge for Atlas {wanted.seed}, {wanted.error_rate:.0%} wrong"
    pipeline = pipeline_create(name=title, kind=PIPELINE_KIND, payload=wanted.model_dump(), actor=actor)
    short = {"settings.max_steps": wanted.max_steps} if wanted.max_steps else {}
    run = run_queue(
        name=wanted.name,
        recipe=RECIPE,
        dataset=_dataset(rows, actor),
        overrides={"seed": wanted.seed} | short,
        hardware_tag=wanted.hardware_tag,
        title=f"Teach {wanted.name}",
        actor=actor,
        pipeline=pipeline,
    )
    answers = generation_queue(
        artifact=run.artifact,
        prompts=asked,
        temperature=0.0,
        max_new_tokens=SCORE_TOKENS,
        hardware_tag=wanted.hardware_tag,
        after=[run.job],
        pipeline=pipeline,
        actor=actor,
    )
    pipeline.payload |= {"artifact": run.artifact.name, "asked": str(asked), "answers": answers.pk}
    pipeline.save(update_fields=["payload"])
    audit.record(actor=actor, action="evaluation.judge_taught", target=pipeline, detail=wanted.model_dump())
    return pipeline


def judge_error_of(pipeline: Pipeline) -> JudgeError:
    """What the judge said, held against the rubric and against what it was taught; once its jobs have succeeded."""
    job = Job.objects.get(pk=pipeline.payload["answers"])
    replies = {line["id"]: line["answer"] for line in _lines(Path(job.folder) / "answers.jsonl")}
    return judge_error(_lines(Path(pipeline.payload["asked"])), replies)


def judges() -> QuerySet[Pipeline]:
    """The judges that were taught here, or are being taught, newest first."""
    return Pipeline.objects.filter(kind=PIPELINE_KIND).select_related("requested_by").order_by("-pk")


def judge_error_kept(pipeline: Pipeline) -> JudgeError:
    """The same, reckoned once: it is wanted whenever somebody looks, and the job's folder does not stay for ever."""
    kept = pipeline.payload.get("error")
    if kept is None:
        kept = judge_error_of(pipeline).as_dict()
        pipeline.payload["error"] = kept
        pipeline.save(update_fields=["payload"])
    return JudgeError(**kept | {name: Share(**kept[name]) for name in ("error", "agreement")})


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return [orjson.loads(line) for line in file]


def _asked_file(rows: JudgingRows) -> Path:
    """The held-out rows as a file, named by its content."""
    text = b"".join(orjson.dumps(row) + b"\n" for row in asked_rows(rows.held_out))
    path = Path(settings.RLWHF_HOME) / "cache" / f"atlas-judging-{hashlib.sha256(text).hexdigest()[:12]}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_bytes(text)
        aside.replace(path)
    return path


def _dataset(rows: JudgingRows, actor: User | None) -> DatasetVersion:
    """What it is taught as a dataset version; the same rows give the same one."""
    taught: list[Mapping[str, str]] = list(sft_rows(rows.train))
    name = f"atlas-judging-{hashlib.sha256(orjson.dumps(taught)).hexdigest()[:12]}"
    known = DatasetVersion.objects.ready().filter(name=name).first()
    if known is not None and Path(known.folder).is_dir():
        return known
    return dataset_from_rows(
        name=name, kind="sft", rows={"train": [dict(row) for row in taught]}, source="atlas-judging", actor=actor
    )
