"""Who is behind an API call: a bearer token, or the browser's session (then the CSRF token is checked)."""

from typing import Any

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer, SessionAuth

from accounts.models import Role, User
from accounts.services import token_user


def token_of(request: HttpRequest) -> User | None:
    """Who has made the bearer token that a request brings, where it brings one that counts."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return token_user(secret=secret) if kind.lower() == "bearer" and secret else None


def _with_role(user: User, role: Role) -> User:
    if not user.has_role(role):
        raise HttpError(403, f"This operation is for the role '{role.value}'; yours is '{user.role}'.")
    return user


class _Token(HttpBearer):
    def __init__(self, role: Role) -> None:
        super().__init__()
        self.required_role = role

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        user = token_user(secret=token)
        return _with_role(user, self.required_role) if user else None


class _Session(SessionAuth):
    def __init__(self, role: Role) -> None:
        super().__init__(csrf=True)
        self.required_role = role

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        return _with_role(request.user, self.required_role) if isinstance(request.user, User) else None


def ApiAuth(role: str) -> list[Any]:  # noqa: N802 - reads as the class it stands for in `auth=ApiAuth("member")`
    """The ways to call an operation that asks for `role`; `request.auth` is then the User."""
    needed = Role(role)
    return [_Token(needed), _Session(needed)]
