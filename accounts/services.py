"""Everything that changes accounts. Pages, API and commands call these."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, Role, User

TOKEN_PREFIX = "rlwhf_"
# `last_used_at` is for people: writing it on every call would make each read a write.
LAST_USED_GRAIN = timedelta(minutes=1)


def _digest(secret: str) -> str:
    # A plain digest is enough: the secret carries 256 random bits, so there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def user_create(*, username: str, password: str, role: str, actor: User | None, email: str = "") -> User:
    """A new person. Raises ValidationError for a weak password, a taken or malformed name, an unknown role."""
    user = User(username=username, email=email, role=role, is_staff=role == Role.ADMIN, is_superuser=role == Role.ADMIN)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    user.save()
    audit.record(actor=actor or user, action="accounts.user_created", target=user, detail={"role": role})
    return user


@transaction.atomic
def user_set_role(*, user: User, role: str, actor: User | None) -> User:
    """Change what a person may do. Raises ValueError where that would leave the site without an admin."""
    before = user.role
    is_admin = Role(role) == Role.ADMIN
    others = User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).exclude(pk=user.pk)
    if before == Role.ADMIN and not is_admin and not others.exists():
        raise ValueError(f"{user.username} is the only admin: give somebody else that role first.")
    user.role = Role(role)
    user.is_staff = user.is_superuser = is_admin
    user.save(update_fields=["role", "is_staff", "is_superuser"])
    audit.record(actor=actor, action="accounts.role_changed", target=user, detail={"from": before, "to": role})
    return user


@transaction.atomic
def first_admin_create(*, username: str, password: str) -> User:
    """The first admin, made by whoever holds the set-up link. Raises PermissionError once there is one."""
    # Two people with the link at once: the second waits here, then finds an admin.
    User.objects.select_for_update().first()
    if first_admin_exists():
        raise PermissionError("This site already has an admin; log in instead.")
    return user_create(username=username, password=password, role=Role.ADMIN, actor=None)


def first_admin_exists() -> bool:
    return User.objects.filter(role=Role.ADMIN).exists()


@transaction.atomic
def token_create(*, user: User, name: str, actor: User | None, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """A new API token and its secret, which cannot be read again."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user, name=name, prefix=secret[: len(TOKEN_PREFIX) + 4], digest=_digest(secret), expires_at=expires_at
    )
    audit.record(actor=actor, action="accounts.token_created", target=token)
    return token, secret


@transaction.atomic
def token_revoke(*, token: ApiToken, actor: User | None) -> None:
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record(actor=actor, action="accounts.token_revoked", target=token)


def token_user(*, secret: str) -> User | None:
    """Whose token this is; None for an unknown, expired or revoked one."""
    token = ApiToken.objects.usable().select_related("user").filter(digest=_digest(secret)).first()
    if token is None:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_GRAIN:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.user
