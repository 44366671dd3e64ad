"""Say that somebody's scores, or those under a rubric version, no longer count; and that they do again. Nothing is deleted.

Counts of scores follow at once (migration 0020). What items say of their own scores, median and spread, follows after that, a few
thousand items to a transaction: at once where it is little, else by the reconciler (`settings.CHORES`).
"""

from itertools import islice

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Item, Rater, Revocation, RubricVersion, Score

# So many scores by people are taken out of, or back into, their items while somebody waits for the page.
AT_ONCE = 20_000
ITEMS_AT_ONCE = 2000
RETELL = """
UPDATE annotations_item AS item SET consensus = told.consensus, spread = told.spread
FROM (
  SELECT wanted.id, percentile_cont(0.5) WITHIN GROUP (ORDER BY score.overall) AS consensus,
    CASE WHEN count(score.overall) > 1 THEN max(score.overall) - min(score.overall) END AS spread
  FROM unnest(%(items)s::bigint[]) AS wanted(id) LEFT JOIN (
    annotations_score AS score JOIN annotations_rater AS rater ON rater.id = score.rater_id AND rater.kind = 'person'
  ) ON score.item_id = wanted.id AND score.withdrawn_at IS NULL AND NOT EXISTS (
    SELECT FROM annotations_revocation AS one
    WHERE one.lifted_at IS NULL AND (one.rater_id = score.rater_id OR one.rubric_version_id = score.rubric_version_id)
  )
  GROUP BY wanted.id
) AS told
WHERE item.id = told.id AND (item.consensus, item.spread) IS DISTINCT FROM (told.consensus, told.spread)
"""


class RevocationRefused(ValueError):  # noqa: N818 - reads as what happened
    """Why it cannot be done. `field` names what to change."""

    def __init__(self, message: str, field: str = "reason") -> None:
        super().__init__(message)
        self.field = field


def revoke(*, target: Rater | RubricVersion, reason: str, actor: User | None) -> Revocation:
    """From now on builds, counts, consensus and quality leave out what `target` said, or what was said under it; datasets
    that are built already stay as they are. Raises RevocationRefused.
    """
    made = _revoked(target, reason, actor)
    _settle_soon(made)
    return made


@transaction.atomic
def _revoked(target: Rater | RubricVersion, reason: str, actor: User | None) -> Revocation:
    if not reason.strip():
        raise RevocationRefused("Say why: the reason stands in the ledger.")
    what: dict[str, Rater | RubricVersion] = {"rater" if isinstance(target, Rater) else "rubric_version": target}
    try:
        with transaction.atomic():
            made = Revocation.objects.create(kind=next(iter(what)), reason=reason.strip(), revoked_by=actor, **what)
    except IntegrityError as error:
        raise RevocationRefused(f"“{target}” is revoked already.", "target") from error
    detail: dict[str, object] = {"kind": made.kind, "target": target.pk, "reason": made.reason}
    audit.record(actor=actor, action="annotations.scores_revoked", target=made, detail=detail)
    return made


def revocation_lift(*, revocation: Revocation, reason: str, actor: User | None) -> Revocation:
    """Have the scores count again. Raises RevocationRefused."""
    lifted = _lifted(revocation, reason, actor)
    _settle_soon(lifted)
    return lifted


@transaction.atomic
def _lifted(revocation: Revocation, reason: str, actor: User | None) -> Revocation:
    if not reason.strip():
        raise RevocationRefused("Say why: the reason stands in the ledger.")
    locked = Revocation.objects.select_for_update().get(pk=revocation.pk)
    if locked.lifted_at is not None:
        raise RevocationRefused(f"The revocation of “{locked}” was lifted already.", "revocation")
    locked.lifted_at, locked.lifted_by, locked.lift_reason = timezone.now(), actor, reason.strip()
    locked.settled_at = None
    locked.save(update_fields=["lifted_at", "lifted_by", "lift_reason", "settled_at"])
    detail: dict[str, object] = {"kind": locked.kind, "reason": locked.lift_reason}
    audit.record(actor=actor, action="annotations.revocation_lifted", target=locked, detail=detail)
    return locked


def revocations_settle() -> int:
    """Have the figures of items follow the revocations that they have not followed yet; a chore. Returns how many."""
    waiting = list(Revocation.objects.filter(settled_at=None).order_by("pk"))
    for one in waiting:
        _settle(one)
    return len(waiting)


def _settle_soon(revocation: Revocation) -> None:
    if _by_people(revocation)[: AT_ONCE + 1].count() <= AT_ONCE:
        _settle(revocation)


def _settle(revocation: Revocation) -> None:
    """Safe to repeat, and to be cut off: each item is told anew by its scores of now."""
    items = iter(_by_people(revocation).values_list("item", flat=True).distinct())
    while some := sorted(islice(items, ITEMS_AT_ONCE)):
        with transaction.atomic(), connection.cursor() as run:
            # Whoever scores one of them has its row; what they say is counted with the rest once they are done.
            list(Item.every.filter(pk__in=some).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
            run.execute(RETELL, {"items": some})
    # Only if nobody has lifted it meanwhile, or revoked again what it lifted.
    Revocation.objects.filter(pk=revocation.pk, lifted_at=revocation.lifted_at).update(settled_at=timezone.now())


def _by_people(revocation: Revocation) -> "QuerySet[Score]":
    """What items' own figures are of, among the scores that it is about."""
    about = Q(rater=revocation.rater_id) if revocation.rater_id else Q(rubric_version=revocation.rubric_version_id)
    return Score.objects.live().filter(about, rater__kind=Rater.Kind.PERSON).order_by()
