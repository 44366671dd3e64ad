"""The job that reckons a verdict: `python -m evaluation.promotion.judge` in its folder."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from annotations.models import DatasetVersion
from evaluation.models import Evaluation, PromotionVerdict
from evaluation.promotion.certifying import trained_on
from evaluation.promotion.judge import REQUEST, VERDICT
from evaluation.promotion.services import verdict_store
from evaluation.promotion.verdict import VerdictDocument
from evaluation.specs import ANSWERS
from jobs.kinds import CannotStart, JobKind, Launch, Outcome
from jobs.models import Job
from jobs.storage.folders import here
from jobs.storage.places import local_path
from training.placing import dataset_here


class Verdict(JobKind):
    """Holds a challenger against the champion; what comes of it is stored when the job ends."""

    def launch(self, job: Job, folder: Path) -> Launch:
        verdict = _verdict(job)
        assert verdict.evaluation.artifact is not None  # only artifacts are judged
        datasets, unseen = trained_on(verdict.evaluation.artifact)
        request = {
            "rules": verdict.rules.rules,
            "challenger": _measured(verdict.evaluation),
            "champion": _measured(verdict.against) if verdict.against else None,
            "benchmark": str(here(verdict.evaluation.benchmark.folder)),
            "datasets": _placed(datasets),
            "unseen": unseen,
            "reference": _reference(verdict),
            "watch": verdict.watch,
            "promoted_by": _promoted_by(verdict) if verdict.watch else None,
        }
        (folder / REQUEST).write_bytes(orjson.dumps(request))
        return Launch(argv=[sys.executable, "-m", "evaluation.promotion.judge", str(folder)])

    def finished(self, job: Job, outcome: Outcome) -> None:
        if outcome.succeeded:
            document = VerdictDocument.model_validate_json((local_path(job.folder) / VERDICT).read_bytes())
            verdict_store(verdict=_verdict(job), document=document)

    def url(self, job: Job) -> str:
        return _verdict(job).get_absolute_url()


def _placed(datasets: Sequence[DatasetVersion]) -> list[dict[str, str]]:
    return [{"name": one.name, "folder": str(dataset_here(one))} for one in datasets if one.is_ready]


def _reference(verdict: PromotionVerdict) -> dict[str, Any] | None:
    """Whom the model's training rows are held against: as its figures are, and of a watched champion the one before it even
    where that has no scorecard, for so it was promoted.
    """
    before = verdict.champion.previous if verdict.watch and verdict.champion else None
    against = before.artifact if before else verdict.against.artifact if verdict.against else verdict.evaluation.base
    if against is None:
        return None
    return {"name": against.name, "datasets": _placed(trained_on(against)[0])}


def _measured(evaluation: Evaluation) -> dict[str, Any]:
    path = here(evaluation.job.folder) / ANSWERS
    if not path.is_file():
        raise CannotStart(
            f"The answers of {evaluation.model_name} (scorecard {evaluation.pk}) are no longer on disk.",
            "Evaluate the model again on the same benchmark.",
        )
    return {"name": evaluation.model_name, "scorecard": evaluation.scorecard, "answers": str(path)}


def _promoted_by(verdict: PromotionVerdict) -> dict[str, Any] | None:
    """How the watched champion was asked when it was promoted; None where that was by hand, or by going back to it."""
    before = verdict.champion.verdict if verdict.champion else None
    if before is None or before.evaluation.artifact_id != verdict.evaluation.artifact_id or not before.evaluation.scorecard:
        return None
    found: dict[str, Any] = before.evaluation.scorecard.get("settings", {})
    return found


def _verdict(job: Job) -> PromotionVerdict:
    found = PromotionVerdict.objects.select_related(
        "rules", "project", "evaluation__artifact__run__dataset", "evaluation__benchmark", "evaluation__job"
    )
    return found.select_related("against__artifact", "against__job").get(job=job)
