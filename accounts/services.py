"""Everything that changes accounts. Pages, API and commands call these."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, Role, User

TOKEN_PREFIX = "rlwhf_"
# `last_used_at` is for people: writing it on every call would make each read a write.
LAST_USED_GRAIN = timedelta(minutes=1)


def digest(secret: str) -> str:
    """What is kept of a secret."""
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
    if not is_admin:
        _keep_an_admin(user)
    user.role = Role(role)
    user.is_staff = user.is_superuser = is_admin
    user.save(update_fields=["role", "is_staff", "is_superuser"])
    audit.record(actor=actor, action="accounts.role_changed", target=user, detail={"from": before, "to": role})
    return user


@transaction.atomic
def user_set_language(*, user: User, language: str, actor: User | None) -> User:
    """The language of a person's pages; empty: as their browser asks. Raises ValueError for one that there is not."""
    if language and language not in dict(settings.LANGUAGES):
        raise ValueError(f"There is no language “{language}”; there are {', '.join(dict(settings.LANGUAGES))}.")
    user.language = language
    user.save(update_fields=["language"])
    audit.record(actor=actor, action="accounts.language_changed", target=user, detail={"to": language})
    return user


def _keep_an_admin(user: User) -> None:
    """Refuse what would leave the site without an admin. Locks the other admins, so that two at once cannot both go."""
    others = User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).exclude(pk=user.pk)
    if user.role == Role.ADMIN and not others:
        raise ValueError(f"{user.username} is the only admin: give somebody else that role first.")


@transaction.atomic
def user_set_active(*, user: User, active: bool, actor: User | None) -> User:
    """Switch an account off (its sessions and tokens end) or on. Raises ValueError for the last admin's."""
    if not active:
        _keep_an_admin(user)
    user.is_active = active
    user.save(update_fields=["is_active"])
    audit.record(actor=actor, action="accounts.user_switched_on" if active else "accounts.user_switched_off", target=user)
    return user


@transaction.atomic
def user_change(*, user: User, role: str | None, active: bool | None, actor: User | None) -> User:
    """What is given is changed, all or nothing."""
    if role is not None:
        user_set_role(user=user, role=role, actor=actor)
    if active is not None:
        user_set_active(user=user, active=active, actor=actor)
    return user


@transaction.atomic
def user_set_password(*, user: User, password: str, actor: User | None) -> User:
    """A new password; every other session of this person ends. Raises ValidationError for a weak one."""
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record(actor=actor, action="accounts.password_changed", target=user)
    return user


@transaction.atomic
def first_admin_create(*, username: str, password: str) -> User:
    """The first admin, made by whoever holds the set-up link. Raises PermissionError once there is one."""
    # Two people with the link at once: the second waits here, then finds an admin. There is no row to lock yet.
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_user IN SHARE ROW EXCLUSIVE MODE")
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
        user=user, name=name, prefix=secret[: len(TOKEN_PREFIX) + 4], digest=digest(secret), expires_at=expires_at
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
    token = ApiToken.objects.usable().select_related("user").filter(digest=digest(secret)).first()
    if token is None:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_GRAIN:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.user
