from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from annotations.dataset_files import content_hash_of
from annotations.models import DatasetVersion, Project
from annotations.services import project_create
from evaluation.models import Benchmark, Evaluation, PromotionRules, PromotionVerdict
from evaluation.promotion.jobs import Verdict
from evaluation.promotion.judge import main
from evaluation.promotion.rules import Rules
from evaluation.promotion.selectors import verdict_get
from evaluation.promotion.services import rules_set
from jobs.kinds import Outcome
from jobs.models import Job, State
from tests.evaluation.samples import atlas_rows
from training.models import Artifact, Run

# Of 64 people, half of them held out, no smaller loss than this can be ruled out.
WIDE = Rules().model_dump() | {
    "non_inferiority": [{"metric": "known_correct", "margin": 0.2}, {"metric": "parse_share", "margin": 0.2}],
    "floors": [{"metric": "over_conservativeness", "at_most": 0.5}],
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: object) -> Path:
    settings.RLWHF_HOME = tmp_path / "home"  # type: ignore[attr-defined]
    return tmp_path / "home"


@pytest.fixture
def project(db: None) -> Project:
    return project_create(name="Atlas people", guidelines="", actor=None)


@pytest.fixture
def rules(project: Project, benchmark: Benchmark) -> PromotionRules:
    return rules_set(project=project, rules=WIDE, benchmark=benchmark, actor=None)


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., None]:
    """Give a model the run that wrote it, on these rows."""

    def _trained(artifact: Artifact, rows: str = '{"prompt": "What is a tree?", "response": "A plant."}\n') -> None:
        folder = tmp_path / "datasets" / artifact.name
        folder.mkdir(parents=True)
        (folder / "train.jsonl").write_text(rows)
        data = DatasetVersion.objects.create(
            name=f"rows-of-{artifact.name}", kind="sft", folder=str(folder), content_hash=content_hash_of("sft", {}),
            ready_at=timezone.now(),
        )  # fmt: skip
        job = Job.objects.create(kind="training.run", title="x", hardware_tag="cpu", payload={}, state="succeeded")
        Run.objects.create(name=f"run-{artifact.name}", method="sft", spec={}, dataset=data, artifact=artifact, job=job)

    return _trained


@pytest.fixture
def three(
    scored: Callable[..., Evaluation], model: Callable[..., Artifact], trained: Callable[..., None]
) -> dict[str, Evaluation]:
    """Three trained models with a scorecard each: one that makes things up, one that says so, and one that says nothing."""
    base = model("base")
    found = {
        "plain": scored("plain", atlas_rows(silent_unknown=0.3, right=0.98, seed=2), base),
        "honest": scored("honest", atlas_rows(silent_unknown=0.95, right=0.98, seed=3), base),
        "silent": scored("silent", atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=4), base),
    }
    for one in found.values():
        assert one.artifact is not None
        trained(one.artifact)
    return found


def carried_out(verdict: PromotionVerdict, folder: Path) -> PromotionVerdict:
    """The verdict's job as a worker does it, but for the process of its own."""
    kind, job = Verdict(), verdict.job
    folder.mkdir(parents=True, exist_ok=True)
    kind.launch(job, folder)
    assert main(folder) == 0
    Job.objects.filter(pk=job.pk).update(state=State.SUCCEEDED, folder=str(folder))
    kind.finished(Job.objects.get(pk=job.pk), Outcome(State.SUCCEEDED))
    return verdict_get(verdict.pk)
