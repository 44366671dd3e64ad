"""What the pages, API and commands of promotion show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Max, Q, QuerySet

from annotations.models import Project, Revocation
from evaluation.ledger.standing import revoked_under
from evaluation.models import Benchmark, Evaluation, Promotion, PromotionRules, PromotionVerdict
from evaluation.promotion.contamination import Match
from evaluation.promotion.judge import QUESTIONS
from evaluation.promotion.rules import Rules
from evaluation.promotion.services import champion_of, rules_of
from evaluation.promotion.verdict import Outcome, VerdictDocument
from jobs.storage.places import local_path

CHALLENGERS_AT_MOST = 50
SHOWN = 20


@dataclass(frozen=True)
class Challenger:
    """A model with its newest scorecard on the questions that decide, and the newest verdict on it."""

    evaluation: Evaluation
    verdict: PromotionVerdict | None
    is_champion: bool


@dataclass(frozen=True)
class Court:
    """One project's promotion page."""

    project: Project
    champion: Promotion | None
    # In force, of scores that the champion was made with.
    revoked: Sequence[Revocation]
    rules: PromotionRules | None
    parsed: Rules | None
    challengers: list[Challenger]
    history: Sequence[Promotion]
    verdicts: Sequence[PromotionVerdict]
    # The newest on the champion since it is champion, where it was evaluated again.
    watched: PromotionVerdict | None = None


@dataclass(frozen=True)
class CourtRow:
    """One project in the list of all."""

    project: Project
    champion: Promotion | None
    revoked: Sequence[Revocation]
    rules: PromotionRules | None


def courts() -> list[CourtRow]:
    """Every project with its champion and its newest rules, those that have either first."""
    champions = {one.project_id: one for one in Promotion.objects.filter(ended_at=None).select_related("artifact")}
    newest = PromotionRules.objects.order_by("project_id", "-number").distinct("project_id").select_related("benchmark")
    rules = {one.project_id: one for one in newest}
    under = revoked_under(one.artifact_id for one in champions.values())
    found = []
    for one in Project.objects.order_by("name"):
        champion = champions.get(one.pk)
        found.append(CourtRow(one, champion, under.get(champion.artifact_id, ()) if champion else (), rules.get(one.pk)))
    return sorted(found, key=lambda row: (row.champion is None, row.rules is None, row.project.name))


def court_of(project: Project) -> Court:
    rules, champion = rules_of(project), champion_of(project)
    return Court(
        project=project,
        champion=champion,
        revoked=revoked_under_champion(champion),
        rules=rules,
        parsed=Rules.model_validate(rules.rules) if rules else None,
        challengers=_challengers(project, rules, champion) if rules else [],
        history=list(promotions_of(project)[:SHOWN]),
        verdicts=list(verdicts_of(project).order_by("-pk")[:SHOWN]),
        watched=verdicts_of(project).filter(champion=champion, watch=True).order_by("-pk").first() if champion else None,
    )


def benchmark_of(project: Project) -> Benchmark | None:
    """What a project's models were measured on last, and its champion before all others; else one that was made of its items."""
    own = Q(artifact__run__dataset__project=project)
    measured = Evaluation.objects.done().filter(own | Q(artifact__promotions__project=project))
    newest = measured.order_by("-pk").values_list("benchmark", flat=True)
    champions = newest.filter(artifact__promotions__project=project, artifact__promotions__ended_at=None)
    found = champions.first() or newest.first()
    made = Benchmark.objects.filter(project=project)
    return Benchmark.objects.get(pk=found) if found else made.first()


def revoked_under_champion(promotion: Promotion | None) -> Sequence[Revocation]:
    """Of one that is champion now: the revocations in force of scores that it was made with. Of others none."""
    if promotion is None or promotion.ended_at is not None:
        return ()
    return revoked_under([promotion.artifact_id]).get(promotion.artifact_id, ())


def promotions_of(project: Project) -> QuerySet[Promotion]:
    return Promotion.objects.filter(project=project).select_related("artifact", "promoted_by", "verdict", "previous__artifact")


def verdicts_of(project: Project) -> QuerySet[PromotionVerdict]:
    found = PromotionVerdict.objects.filter(project=project).defer("document")
    return found.select_related("evaluation__artifact", "against__artifact", "rules", "job", "requested_by").defer(
        "document", "evaluation__scorecard", "against__scorecard"
    )


def verdict_get(pk: int) -> PromotionVerdict:
    """Raises PromotionVerdict.DoesNotExist."""
    found = PromotionVerdict.objects.select_related(
        "project", "rules__benchmark", "evaluation__artifact", "against__artifact", "champion__artifact", "job", "requested_by"
    )
    return found.defer("evaluation__scorecard", "against__scorecard").get(pk=pk)


def document_of(verdict: PromotionVerdict) -> VerdictDocument | None:
    return None if verdict.document is None else VerdictDocument.model_validate(verdict.document)


def questions_path(verdict: PromotionVerdict) -> Path | None:
    """Where all questions are that stand in the training rows, one JSON object a line; None where they are not on disk."""
    if verdict.ready_at is None or not verdict.job.folder:
        return None
    path = local_path(verdict.job.folder) / QUESTIONS
    return path if path.is_file() else None


def questions_of(verdict: PromotionVerdict) -> list[Match]:
    """All of them; of a verdict whose file is gone those that it has itself."""
    if path := questions_path(verdict):
        with path.open("rb") as lines:
            return [Match.model_validate_json(line) for line in lines]
    document = document_of(verdict)
    return document.overlap.matches if document and document.overlap else []


def _challengers(project: Project, rules: PromotionRules, champion: Promotion | None) -> list[Challenger]:
    done = Evaluation.objects.done().filter(benchmark=rules.benchmark, artifact__isnull=False)
    newest = done.order_by().values("artifact").annotate(newest=Max("pk")).values_list("newest", flat=True)
    evaluations = Evaluation.objects.light().filter(pk__in=newest)[:CHALLENGERS_AT_MOST]
    verdicts: dict[int, PromotionVerdict] = {}
    for verdict in verdicts_of(project).filter(evaluation__in=[one.pk for one in evaluations]).order_by("pk"):
        verdicts[verdict.evaluation_id] = verdict
    reigning = champion.artifact_id if champion else None
    found = [Challenger(one, verdicts.get(one.pk), one.artifact_id == reigning) for one in evaluations]
    return sorted(found, key=lambda one: not one.is_champion)


def promoted_now() -> dict[int, list[Promotion]]:
    """Champions by their artifact."""
    found: dict[int, list[Promotion]] = {}
    for one in Promotion.objects.filter(ended_at=None).select_related("project"):
        found.setdefault(one.artifact_id, []).append(one)
    return found


def rule_rows(document: VerdictDocument) -> list[dict[str, Any]]:
    """The outcomes as the verdict page's table has them, those that decide first."""
    order = {"broken": 0, "unknown": 1, "kept": 2, "left out": 3}
    colours = {"broken": "failed", "unknown": "stopped", "kept": "succeeded", "left out": ""}
    outcomes = sorted(document.outcomes, key=lambda one: order[one.state])
    return [{"outcome": one, "colour": colours[one.state], "figures": _figure_rows(one)} for one in outcomes]


def _figure_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """A row for each metric that the rule is on; `metric` names it where there are several."""
    if not outcome.metric:
        return [{"metric": "", **outcome.figures}]
    others = [{"metric": name, **figures} for name, figures in outcome.others.items()]
    return [{"metric": outcome.metric, **outcome.figures}, *others]
