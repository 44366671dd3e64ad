"""The counts of scores over HTTP."""

from django.http import HttpRequest
from ninja import Router, Schema

from accounts.api_auth import ApiAuth
from annotations.api.common import acting_user
from annotations.services.rollups import Rebuilt, score_counts_differing, score_counts_fold, score_counts_rebuild

router = Router(tags=["annotations"])


class CountsOut(Schema):
    differing: int


class FoldedOut(Schema):
    sums: int


class RebuiltOut(Schema):
    rows: int
    scores: int


@router.get("/score-counts", response=CountsOut, auth=ApiAuth("admin"))
def score_counts_check(request: HttpRequest) -> dict[str, int]:
    """How many of the counts that pages read differ from a full recount, which reads every score."""
    return {"differing": len(score_counts_differing())}


@router.post("/score-counts/rebuild", response=RebuiltOut, auth=ApiAuth("admin"))
def score_counts_rebuild_(request: HttpRequest) -> Rebuilt:
    """Count all scores anew."""
    return score_counts_rebuild(actor=acting_user(request))


@router.post("/score-counts/fold", response=FoldedOut, auth=ApiAuth("admin"))
def score_counts_fold_(request: HttpRequest) -> dict[str, int]:
    """Draw counts of the same kind together, as the reconciler does now and then."""
    return {"sums": score_counts_fold()}
