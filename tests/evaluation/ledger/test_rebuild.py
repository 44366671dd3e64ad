"""What was made with revoked scores, queued anew without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accounts.models import AuditEntry
from annotations.models import DatasetContributor, DatasetVersion
from annotations.services import dataset_from_rows, dataset_publish, dataset_write, revocation_lift, revoke
from evaluation.ledger.selectors import consequences_of, rebuilds_of
from evaluation.ledger.services import RebuildRefused, rebuild_queue
from evaluation.models import Evaluation
from jobs.models import Job
from jobs.services import pipeline_stop
from tests.evaluation.ledger.conftest import built, rater
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def revoked(project, history):
    return revoke(target=rater("ann"), reason="Guessed.", actor=None)


def test_datasets_of_the_same_settings_are_one_and_hold_none_of_the_revoked_scores(project, revoked, tmp_path) -> None:
    pipeline = rebuild_queue(revocation=revoked, actor=None)
    name = f"towns-2-r{revoked.pk}"
    assert pipeline.payload["datasets"] == {"towns-2": name, "towns-1": name}
    assert (pipeline.payload["runs"], pipeline.jobs.count()) == ({}, 1)
    version = DatasetVersion.objects.get(name=name)
    assert version.settings == DatasetVersion.objects.get(name="towns-2").settings
    made = dataset_publish(version=version, built=dataset_write(version=version, uses=tmp_path / "uses"))
    raters = set(DatasetContributor.objects.filter(version=made).values_list("rater__name", flat=True))
    assert raters == {"strict@1", "kind@1", "gold answers"}
    assert made.counts["train"] == 6
    told = (Path(made.folder) / "provenance.jsonl").read_text()
    assert '"ann"' not in told and made.report["revoked"]["by"] == [revoked.pk]
    assert name not in [one.version.name for one in consequences_of(rater("ann")).datasets]
    assert AuditEntry.objects.filter(action="evaluation.rebuild_queued").count() == 1


def test_the_runs_follow_each_from_the_new_model_of_the_one_before_and_then_the_scorecards(revoked, history) -> None:
    pipeline = rebuild_queue(revocation=revoked, actor=None, depth="scorecards")
    end = f"-r{revoked.pk}"
    assert pipeline.payload["runs"] == {"first": f"first{end}", "second": f"second{end}"}
    first, second = (Run.objects.get(name=f"{name}{end}") for name in ("first", "second"))
    dataset = DatasetVersion.objects.get(name=f"towns-2{end}")
    assert (first.dataset, second.dataset) == (dataset, dataset)
    assert (first.base.name, second.base) == ("base", first.artifact)
    assert list(first.job.after.all()) == [dataset.job]
    assert set(second.job.after.all()) == {dataset.job, first.job}
    same = {"name": "", "model": None}
    assert second.spec | same == history.second.spec | same and second.spec["seed"] == 3
    assert second.spec["model"]["path"] == f"first{end}"
    (number,) = pipeline.payload["scorecards"]
    card = Evaluation.objects.get(pk=number)
    assert (card.artifact, card.base, card.benchmark) == (second.artifact, first.artifact, history.card.benchmark)
    assert set(card.job.after.all()) == {first.job, second.job}
    assert card.settings == history.card.settings
    (shown,) = rebuilds_of(revoked)
    assert list(shown.jobs.all()) == [dataset.job, first.job, second.job, card.job]
    assert pipeline.jobs.count() == 4 and pipeline.payload["made"] == 4
    assert json.loads(json.dumps(pipeline.payload)) == pipeline.payload


def test_what_cannot_be_made_anew_is_named(project, revoked, history) -> None:
    rows = {"train": [{"prompt": "What is a tree?", "response": "A plant."}]}
    dataset_from_rows(name="cleaned", kind="sft", rows=rows, source="x", actor=None, parents=[history.first.dataset])
    pipeline = rebuild_queue(revocation=revoked, actor=None, depth="runs")
    assert pipeline.payload["left"] == [{"what": "dataset", "name": "cleaned", "why": "it was not built from a project"}]


def test_a_rebuild_is_refused_where_it_would_change_nothing_or_one_is_under_way(project, revoked) -> None:
    pipeline = rebuild_queue(revocation=revoked, actor=None)
    with pytest.raises(RebuildRefused, match="under way"):
        rebuild_queue(revocation=revoked, actor=None)
    pipeline_stop(pipeline=pipeline, actor=None)
    Job.objects.filter(pipeline=pipeline).update(state="stopped")
    again = rebuild_queue(revocation=revoked, actor=None)
    assert again.payload["datasets"]["towns-2"] == f"towns-2-r{revoked.pk}-2"
    Job.objects.filter(pipeline=again).update(state="stopped")
    revocation_lift(revocation=revoked, reason="x", actor=None)
    with pytest.raises(RebuildRefused, match="lifted"):
        rebuild_queue(revocation=revoked, actor=None)


def test_without_a_projects_dataset_there_is_nothing_to_make_anew(project) -> None:
    from annotations.services.raters import teacher_rater

    made = revoke(target=teacher_rater(name="new@1"), reason="x", actor=None)
    built(project, "towns")
    with pytest.raises(RebuildRefused, match="No dataset"):
        rebuild_queue(revocation=made, actor=None)
    assert not made.target.contributions.exists()
