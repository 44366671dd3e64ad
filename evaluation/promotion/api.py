"""Promotion over HTTP."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts.api_auth import ApiAuth
from annotations.models import Project
from evaluation.ledger.selectors import revocation_document
from evaluation.models import Benchmark, Promotion, PromotionRules, PromotionVerdict
from evaluation.promotion import selectors, services
from evaluation.promotion.certificate import BadCertificate, Certificate, public_key_of, site_key, verify
from evaluation.promotion.certifying import certified
from evaluation.promotion.contamination import Match
from evaluation.promotion.services import PromotionRefused
from training.models import Artifact

router = Router(tags=["promotion"])


class RulesIn(Schema):
    benchmark: str = Field(description="Hash of the benchmark that decides.")
    rules: dict[str, Any] = Field(default_factory=dict, description="docs/promotion.md; {}: those that a project starts with.")


class RulesOut(Schema):
    number: int
    benchmark: str = Field(alias="benchmark.hash")
    rules: dict[str, Any]
    created_at: datetime


class VerdictIn(Schema):
    model: str = Field(description="Name of the challenger.")


class VerdictListed(Schema):
    id: int
    project: str = Field(alias="project.slug")
    model: str = Field(alias="evaluation.model_name")
    against: str | None = Field(description="Whom it is held against; null: the model it was trained from, or nobody.")
    evaluation: int = Field(alias="evaluation_id")
    rules: int = Field(alias="rules.number")
    watch: bool = Field(description="Whether it is of a champion that was measured again.")
    state: str = Field(alias="job.state")
    passed: bool | None = Field(description="null: not ready, or it cannot be told.")
    created_at: datetime

    @staticmethod
    def resolve_against(verdict: PromotionVerdict) -> str | None:
        return verdict.against.model_name if verdict.against else None


class VerdictOut(VerdictListed):
    document: dict[str, Any] | None = Field(description="Every rule with its figures; null until it is ready.")


class PromotionOut(Schema):
    id: int
    project: str = Field(alias="project.slug")
    model: str = Field(alias="artifact.name")
    kind: str
    reason: str
    verdict: int | None = Field(alias="verdict_id")
    promoted_at: datetime
    ended_at: datetime | None
    ended_because: str
    certificate: dict[str, Any]
    revoked: list[dict[str, Any]] = Field(description="Of a champion: the revocations in force of scores that it was made with.")

    @staticmethod
    def resolve_revoked(promotion: Promotion) -> list[dict[str, Any]]:
        return [revocation_document(one) for one in selectors.revoked_under_champion(promotion)]


class CourtOut(Schema):
    project: str = Field(alias="project.slug")
    champion: str | None = Field(description="Name of the model; null: nobody.")
    promotion: int | None = Field(description="Number of the promotion that made it champion.")
    promoted_at: datetime | None
    rules: int | None = Field(description="Number of the rules that hold; null: none are set.")
    benchmark: str | None = Field(description="Hash of the benchmark by which the rules decide.")
    revoked: list[dict[str, Any]] = Field(description="The revocations in force of scores that the champion was made with.")

    @staticmethod
    def resolve_champion(row: selectors.CourtRow) -> str | None:
        return row.champion.artifact.name if row.champion else None

    @staticmethod
    def resolve_promotion(row: selectors.CourtRow) -> int | None:
        return row.champion.pk if row.champion else None

    @staticmethod
    def resolve_promoted_at(row: selectors.CourtRow) -> datetime | None:
        return row.champion.promoted_at if row.champion else None

    @staticmethod
    def resolve_rules(row: selectors.CourtRow) -> int | None:
        return row.rules.number if row.rules else None

    @staticmethod
    def resolve_benchmark(row: selectors.CourtRow) -> str | None:
        return row.rules.benchmark.hash if row.rules else None

    @staticmethod
    def resolve_revoked(row: selectors.CourtRow) -> list[dict[str, Any]]:
        return [revocation_document(one) for one in row.revoked]


class VerifyIn(Schema):
    certificate: Certificate
    public_key: str = Field("", description="Whose signature it must be; empty: this site's.")


class VerifiedOut(Schema):
    genuine: bool
    problem: str = Field(description="Why it is not what was signed; empty where it is.")
    is_known: bool = Field(description="Whether the promotion stands in this site's history.")
    is_champion: bool
    revoked: list[dict[str, Any]] = Field(description="The revocations in force of scores that the model was made with.")


class ReasonIn(Schema):
    reason: str = Field("", max_length=2000)


class RollBackIn(ReasonIn):
    champion: int | None = Field(None, description="Number of the promotion that is meant; null: whoever is champion now.")


class HandIn(ReasonIn):
    model: str


class KeyOut(Schema):
    public_key: str = Field(description="Ed25519, base64: what this site's certificates are signed with.")


@router.get("/promotion", response=list[CourtOut], auth=ApiAuth("member"))
@paginate
def promotion_courts(request: HttpRequest) -> list[selectors.CourtRow]:
    """Every project with its champion, those that have one first."""
    return selectors.courts()


@router.get("/promotion/key", response=KeyOut, auth=ApiAuth("member"))
def promotion_key(request: HttpRequest) -> dict[str, str]:
    return {"public_key": public_key_of(site_key(Path(settings.RLWHF_HOME)))}


@router.post("/promotion/certificates/verify", response=VerifiedOut, auth=ApiAuth("member"))
def promotion_verify(request: HttpRequest, wanted: VerifyIn) -> dict[str, Any]:
    """Whether a certificate is what was signed, and whether its model stands on scores that are revoked since."""
    key = wanted.public_key or public_key_of(site_key(Path(settings.RLWHF_HOME)))
    try:
        verify(wanted.certificate, public_key=key)
    except BadCertificate as bad:
        return {"genuine": False, "problem": str(bad), "is_known": False, "is_champion": False, "revoked": []}
    found = certified(wanted.certificate)
    return {
        "genuine": True,
        "problem": "",
        "is_known": found.promotion is not None,
        "is_champion": found.promotion is not None and found.promotion.ended_at is None,
        "revoked": [revocation_document(one) for one in found.revoked],
    }


@router.get("/promotion/{project}/rules", response=RulesOut, auth=ApiAuth("member"))
def promotion_rules(request: HttpRequest, project: str) -> PromotionRules:
    found = services.rules_of(_project(project))
    if found is None:
        raise HttpError(404, "This project has no rules for promotion yet.")
    return found


@router.put("/promotion/{project}/rules", response=RulesOut, auth=ApiAuth("admin"))
def promotion_rules_set(request: HttpRequest, project: str, wanted: RulesIn) -> PromotionRules:
    benchmark = get_object_or_404(Benchmark, hash=wanted.benchmark)
    try:
        return services.rules_set(project=_project(project), rules=wanted.rules, benchmark=benchmark, actor=request.auth)  # type: ignore[attr-defined]
    except PromotionRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.get("/promotion/{project}/history", response=list[PromotionOut], auth=ApiAuth("member"))
@paginate
def promotion_history(request: HttpRequest, project: str) -> QuerySet[Promotion]:
    """Champions, the present one first."""
    return selectors.promotions_of(_project(project)).select_related("project")


@router.get("/promotion/{project}/verdicts", response=list[VerdictListed], auth=ApiAuth("member"))
@paginate
def promotion_verdicts(request: HttpRequest, project: str) -> QuerySet[PromotionVerdict]:
    """The newest first, those too by which the champion is watched."""
    return selectors.verdicts_of(_project(project)).select_related("project").order_by("-pk")


@router.post("/promotion/{project}/verdicts", response={201: VerdictOut}, auth=ApiAuth("admin"))
def promotion_judge(request: HttpRequest, project: str, wanted: VerdictIn) -> Status[PromotionVerdict]:
    """Queue a verdict: the model's newest scorecard against the champion's."""
    artifact = get_object_or_404(Artifact, name=wanted.model)
    try:
        verdict = services.verdict_queue(project=_project(project), artifact=artifact, actor=request.auth)  # type: ignore[attr-defined]
    except PromotionRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return Status(201, selectors.verdict_get(verdict.pk))


@router.get("/promotion/verdicts/{verdict}", response=VerdictOut, auth=ApiAuth("member"))
def promotion_verdict(request: HttpRequest, verdict: int) -> PromotionVerdict:
    return _verdict(verdict)


@router.get("/promotion/verdicts/{verdict}/questions", response=list[Match], auth=ApiAuth("member"))
@paginate
def promotion_questions(request: HttpRequest, verdict: int) -> list[Match]:
    """The benchmark's questions that stand in the training rows; the verdict itself has the first of them only."""
    return selectors.questions_of(_verdict(verdict))


@router.post("/promotion/verdicts/{verdict}/promote", response={201: PromotionOut}, auth=ApiAuth("admin"))
def promotion_promote(request: HttpRequest, verdict: int) -> Status[Promotion]:
    """Make a challenger champion that kept every rule."""
    try:
        return Status(201, services.promote(verdict=_verdict(verdict), actor=request.auth))  # type: ignore[attr-defined]
    except PromotionRefused as refused:
        raise HttpError(409, str(refused)) from refused


@router.post("/promotion/{project}/champion", response={201: PromotionOut}, auth=ApiAuth("admin"))
def promotion_by_hand(request: HttpRequest, project: str, wanted: HandIn) -> Status[Promotion]:
    """Make a model champion by hand; the reason stands in its certificate."""
    artifact = get_object_or_404(Artifact, name=wanted.model)
    try:
        made = services.promote_by_hand(project=_project(project), artifact=artifact, reason=wanted.reason, actor=request.auth)  # type: ignore[attr-defined]
    except PromotionRefused as refused:
        raise _refusal(refused) from refused
    return Status(201, made)


@router.post("/promotion/{project}/rollback", response=PromotionOut | None, auth=ApiAuth("admin"))
def promotion_roll_back(request: HttpRequest, project: str, wanted: RollBackIn) -> Promotion | None:
    """Back to the champion before; null where there was none."""
    actor = request.auth  # type: ignore[attr-defined]
    try:
        return services.champion_roll_back(project=_project(project), reason=wanted.reason, actor=actor, champion=wanted.champion)
    except PromotionRefused as refused:
        raise _refusal(refused) from refused


def _refusal(refused: PromotionRefused) -> HttpError:
    """What was sent is at fault, or what is there is."""
    return HttpError(422 if refused.field == "reason" else 409, str(refused))


def _project(slug: str) -> Project:
    return get_object_or_404(Project, slug=slug)


def _verdict(pk: int) -> PromotionVerdict:
    try:
        return selectors.verdict_get(pk)
    except PromotionVerdict.DoesNotExist as error:
        raise HttpError(404, "There is no such verdict.") from error
