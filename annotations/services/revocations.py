"""Say that somebody's scores, or those under a rubric version, no longer count; and that they do again. Nothing is deleted."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Rater, Revocation, RubricVersion


class RevocationRefused(ValueError):  # noqa: N818 - reads as what happened
    """Why it cannot be done. `field` names what to change."""

    def __init__(self, message: str, field: str = "reason") -> None:
        super().__init__(message)
        self.field = field


@transaction.atomic
def revoke(*, target: Rater | RubricVersion, reason: str, actor: User | None) -> Revocation:
    """From now on builds, consensus and quality leave out what `target` said, or what was said under it; datasets that are built
    already stay as they are. Raises RevocationRefused.
    """
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


@transaction.atomic
def revocation_lift(*, revocation: Revocation, reason: str, actor: User | None) -> Revocation:
    """Have the scores count again. Raises RevocationRefused."""
    if not reason.strip():
        raise RevocationRefused("Say why: the reason stands in the ledger.")
    locked = Revocation.objects.select_for_update().get(pk=revocation.pk)
    if locked.lifted_at is not None:
        raise RevocationRefused(f"The revocation of “{locked}” was lifted already.", "revocation")
    locked.lifted_at, locked.lifted_by, locked.lift_reason = timezone.now(), actor, reason.strip()
    locked.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
    detail: dict[str, object] = {"kind": locked.kind, "reason": locked.lift_reason}
    audit.record(actor=actor, action="annotations.revocation_lifted", target=locked, detail=detail)
    return locked
