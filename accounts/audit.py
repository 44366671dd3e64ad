"""The audit log: every service that changes something says so here, in the same transaction."""

from django.db.models import Model

from accounts.models import AuditEntry, User


def record(
    *, actor: User | None, action: str, target: Model | None = None, detail: dict[str, object] | None = None
) -> AuditEntry:
    """Write down that `actor` (None: the shell or the site itself) did `action`, named `app.noun_verbed`, to `target`."""
    return AuditEntry.objects.create(
        actor=actor,
        actor_name=actor.get_username() if actor else "",
        action=action,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_label=str(target)[:200] if target else "",
        detail=detail or {},
    )
