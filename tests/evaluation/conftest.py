from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from django.test import Client

from accounts.models import User
from evaluation.answers import AnswerRow, answers_write
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.scorecard import ArtifactRef, BenchmarkRef, Sampling, scorecard_make
from evaluation.services import benchmark_register, evaluation_queue, scorecard_store
from jobs.models import Job
from tests.evaluation.samples import atlas_rows
from tests.training.model_folders import model_folder_at
from training.models import Artifact
from training.services import artifact_register

BASE_ROWS = atlas_rows(silent_unknown=0.25, right=0.98, seed=1)
CARDS: dict[tuple[str, str, str, bytes], str] = {}
"""Scorecards by what they are of: many tests want the same ones, and each takes half a second."""


@pytest.fixture
def signed_in(client: Client, django_user_model: type[User]) -> Callable[[str], Client]:
    """A client logged in as somebody with that role."""

    def _signed_in(role: str) -> Client:
        user = django_user_model.objects.filter(username=role).first()
        client.force_login(
            user or django_user_model.objects.create_user(role, password="x", role=role),
            backend="django.contrib.auth.backends.ModelBackend",
        )
        return client

    return _signed_in


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "atlas"
    folder.mkdir()
    rows = [
        {"id": row.id, "prompt": row.prompt, "gold_answer": row.gold_answer, "entity": row.entity, "slice": row.slices}
        for row in BASE_ROWS
    ]
    (folder / "benchmark.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (folder / "manifest.json").write_text(json.dumps({"name": "atlas", "version": "1"}))
    return folder


@pytest.fixture
def benchmark(db: None, benchmark_folder: Path) -> Benchmark:
    return benchmark_register(folder=benchmark_folder, actor=None)


@pytest.fixture
def model(db: None, tmp_path: Path) -> Callable[..., Artifact]:
    """A model that is ready, by name; its files are only those that registration looks for."""

    def _model(name: str, base: Artifact | None = None) -> Artifact:
        folder = model_folder_at(tmp_path / "models" / name)
        artifact = artifact_register(name=name, folder=folder, actor=None)
        if base is not None:
            artifact.base = base
            artifact.save(update_fields=["base"])
        return artifact

    return _model


@pytest.fixture
def scored(tmp_path: Path, benchmark: Benchmark, model: Callable[..., Artifact]) -> Callable[..., Evaluation]:
    """An evaluation that is done, of a new model that gave these answers."""

    def _scored(name: str, rows: list[AnswerRow], base: Artifact | None = None) -> Evaluation:
        evaluation = evaluation_queue(artifact=model(name, base), benchmark=benchmark, actor=None)
        folder = tmp_path / f"evaluation-{evaluation.pk}"
        folder.mkdir()
        answers_write(folder / "answers.jsonl", rows)
        key = (name, benchmark.hash, base.name if base else "", (folder / "answers.jsonl").read_bytes())
        if key not in CARDS:
            card = scorecard_make(
                rows,
                artifact=ArtifactRef(name=name, hash=name),
                benchmark=BenchmarkRef(name=benchmark.name, version=benchmark.version, hash=benchmark.hash),
                base_rows=BASE_ROWS if base else (),
                base=ArtifactRef(name=base.name, hash=base.name) if base else None,
                settings={"max_new_tokens": 16},
                sampling=Sampling(resamples=200, permutations=999),
            )
            CARDS[key] = card.model_dump_json()
        (folder / "scorecard.json").write_text(CARDS[key])
        Job.objects.filter(pk=evaluation.job_id).update(state="succeeded", folder=str(folder))
        evaluation.job.refresh_from_db()
        return scorecard_store(evaluation=evaluation, folder=folder)

    return _scored
