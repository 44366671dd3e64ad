"""A promotion's certificate: who, by what, on which figures; with the hashes of model, data, questions and code."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings as site

from accounts.models import User
from annotations.models import DatasetVersion, Project, Revocation
from evaluation.ledger.standing import revoked_under
from evaluation.models import Evaluation, Promotion, PromotionVerdict
from evaluation.promotion.certificate import Certificate, sign, site_key
from evaluation.scorecards.document import Scorecard
from training.models import Artifact


@dataclass(frozen=True)
class Crowning:
    """A promotion that is about to be written down. `champion` is whom it replaces."""

    project: Project
    artifact: Artifact
    kind: Promotion.Kind
    actor: User | None
    verdict: PromotionVerdict | None
    reason: str
    champion: Promotion | None


def certificate_of(crowning: Crowning, at: datetime) -> Certificate:
    """Signed with the site's key. Hashes that no scorecard of the model gives are null, never made up."""
    evaluation = _evaluation(crowning)
    card = Scorecard.model_validate(evaluation.scorecard) if evaluation is not None and evaluation.scorecard else None
    datasets, unseen = trained_on(crowning.artifact)
    payload: dict[str, Any] = {
        "project": crowning.project.slug,
        "model": {"name": crowning.artifact.name, "hash": card.artifact.hash if card else None},
        "replaces": crowning.champion.artifact.name if crowning.champion else None,
        "kind": str(crowning.kind),
        "reason": crowning.reason,
        "by": crowning.actor.get_username() if crowning.actor else None,
        "at": at.isoformat(),
        "data": [{"name": one.name, "hash": one.content_hash} for one in datasets],
        "data_unknown_of": unseen,
        "benchmark": card.benchmark.model_dump(include={"name", "version", "hash"}) if card else None,
        "scorecard": _sha256(evaluation.scorecard) if evaluation is not None else None,
        "code": card.environment if card else None,
        "rules": crowning.verdict.rules.rules if crowning.verdict is not None else None,
        "verdict": crowning.verdict.document if crowning.verdict is not None and evaluation is not None else None,
    }
    return sign(payload, site_key(Path(site.RLWHF_HOME)))


@dataclass(frozen=True)
class Certified:
    """What this site knows of a certificate: the promotion that it is of, and the revocations in force of scores that its model
    was made with. Of another site's certificate, or one whose promotion is not here, nothing is known.
    """

    promotion: Promotion | None
    revoked: Sequence[Revocation] = ()


def certified(certificate: Certificate) -> Certified:
    """The signature is not looked at: that is `verify`'s."""
    told = certificate.payload
    known = Promotion.objects.filter(certificate__signature=certificate.signature, project__slug=str(told.get("project")))
    found = known.select_related("artifact", "project").first()
    return Certified(found, revoked_under([found.artifact_id]).get(found.artifact_id, ())) if found else Certified(None)


def _evaluation(crowning: Crowning) -> Evaluation | None:
    """The verdict's, where it is of this model: that of a rollback is of the one that goes."""
    verdict = crowning.verdict
    if verdict is None or verdict.evaluation.artifact_id != crowning.artifact.pk:
        return None
    return verdict.evaluation


def trained_on(artifact: Artifact) -> tuple[list[DatasetVersion], list[str]]:
    """The datasets of the runs that led to a model, newest first, and the models on the way of which no run is known here."""
    datasets: list[DatasetVersion] = []
    unseen: list[str] = []
    model: Artifact | None = artifact
    while model is not None:
        run = getattr(model, "run", None)
        if run is None:
            unseen.append(model.name)
        elif run.dataset not in datasets:
            datasets.append(run.dataset)
        model = model.base
    return datasets, unseen


def _sha256(document: object) -> str:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
