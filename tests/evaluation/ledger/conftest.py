"""A project scored by a person, two teachers and the gold answers; datasets, runs, models and champions made of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from annotations.models import DatasetVersion, Item, Project, Rater, Score
from annotations.services import dataset_build, project_create
from annotations.services.raters import gold_rater, person_rater, teacher_rater
from annotations.tuples import content_hash, prompt_hash
from evaluation.models import Benchmark, Evaluation
from evaluation.promotion.services import promote_by_hand
from evaluation.services import evaluation_queue
from jobs.models import Job
from tests.training.model_folders import model_folder_at
from training.models import Artifact, Run
from training.services import run_queue

ITEMS = 12


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.RLWHF_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def project(db: None) -> Project:
    """Six prompts with two answers each: ann and both teachers score all, the gold answers the first prompt's."""
    made = project_create(name="Towns", guidelines="", actor=None)
    rows = []
    for number in range(ITEMS):
        prompt = [{"role": "user", "content": f"Which town is {number // 2}?"}]
        answer = f"Town {number}."
        rows.append(
            Item(
                project=made, prompt=prompt, prompt_text=prompt[0]["content"], prompt_is_text=True, answer=answer,
                source_model="m", content_hash=content_hash(prompt, answer, None), prompt_hash=prompt_hash(prompt),
                position=number, is_open=False,
            )
        )  # fmt: skip
    items = Item.objects.bulk_create(rows)
    ann = person_rater(user=User.objects.create(username="ann", role="annotator"))
    given = {ann: items, teacher_rater(name="strict@1"): items, teacher_rater(name="kind@1"): items[:4], gold_rater(): items[:2]}
    for rater, scored in given.items():
        for item in scored:
            give(item, rater, 2.0 if item.position % 2 else -2.0)
    return made


def give(item: Item, rater: Rater, overall: float, **fields: Any) -> Score:
    fields = {"rubric_version_id": item.project.rubric_version_id, **fields}
    return Score.objects.create(item=item, rater=rater, overall=overall, given_at=timezone.now(), **fields)


def rater(name: str) -> Rater:
    return Rater.objects.get(name=name)


def built(project: Project, name: str, kind: str = "tuples", **settings: Any) -> DatasetVersion:
    wanted = {"split": {"eval_share": 0}, "gate": {"force": True}, **settings}
    return dataset_build(project=project, name=name, kind=kind, settings=wanted, actor=None)


@pytest.fixture
def history(project: Project, benchmark: Benchmark, model: Callable[..., Artifact], tmp_path: Path) -> SimpleNamespace:
    """Two datasets of the same settings, a run on the newer one, a run that begins from its model, a scorecard and a champion."""
    model("base")
    built(project, "towns-1", "preference")
    newer = built(project, "towns-2", "preference")
    first = trained("first", newer, Artifact.objects.get(name="base"), tmp_path)
    second = trained("second", newer, first.artifact, tmp_path)
    card = evaluation_queue(artifact=second.artifact, benchmark=benchmark, base=first.artifact, actor=None)
    Job.objects.filter(pk=card.job_id).update(state="succeeded")
    Evaluation.objects.filter(pk=card.pk).update(scorecard={}, headline={"conclusion": {"text": "More honest.", "tone": "ok"}})
    promote_by_hand(project=project, artifact=first.artifact, reason="First.", actor=None)
    promote_by_hand(project=project, artifact=second.artifact, reason="Next.", actor=None)
    return SimpleNamespace(first=first, second=second, card=card)


def trained(name: str, dataset: DatasetVersion, base: Artifact, folder: Path) -> Run:
    """A run as it stands once a worker has carried it out."""
    run = run_queue(name=name, recipe="atlas-dpo", dataset=dataset, base=base, actor=None, overrides={"seed": 3})
    Artifact.objects.filter(pk=run.artifact_id).update(
        folder=str(model_folder_at(folder / "trained" / name)), ready_at=timezone.now()
    )
    Job.objects.filter(pk=run.job_id).update(state="succeeded")
    run.refresh_from_db()
    return run
