"""Log-ins in the audit log, however they come about: by the page, by the admin's pages, by the set-up link."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from accounts import audit
from accounts.models import User


@receiver(user_logged_in)
def record_log_in(user: User, **_: Any) -> None:
    audit.record(actor=user, action="accounts.user_logged_in", target=user)


@receiver(user_logged_out)
def record_log_out(user: User | None, **_: Any) -> None:
    if user is not None:  # a stranger may log out too
        audit.record(actor=user, action="accounts.user_logged_out", target=user)


@receiver(user_login_failed)
def record_failure(credentials: dict[str, Any], **_: Any) -> None:
    """Of what was typed only the name of an account that exists is kept: people type passwords into the field for names."""
    user = User.objects.filter(username=str(credentials.get("username", ""))).first()
    audit.record(actor=None, action="accounts.login_failed", target=user)
