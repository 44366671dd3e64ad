"""Every view says who may see it: `@role_required("member")`, or `@public`. A test walks the URLs and holds that."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth import get_user
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from accounts.models import Role, User

View = Callable[..., Any]


def signed_in_user(request: HttpRequest) -> User:
    """The person behind a request that has passed the log-in check."""
    if not isinstance(request.user, User):
        raise PermissionDenied(_("Log in first."))
    return request.user


def still_has_role(request: HttpRequest, role: str) -> bool:
    """Whether the session that made a request long ago still stands for somebody with `role`; asks the database anew."""
    now = HttpRequest()
    now.session = type(request.session)(request.session.session_key)
    user = get_user(now)
    return isinstance(user, User) and user.has_role(role)


def role_required(role: str) -> Callable[[View], View]:
    """Let only people with `role` (or a higher one) reach the view; others get 403, strangers the log-in page."""
    needed = Role(role)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not signed_in_user(request).has_role(needed):
                refusal = _("This page is for the role “%(role)s”; ask an admin to change yours.")
                raise PermissionDenied(refusal % {"role": needed.label})
            return cast(HttpResponseBase, view(request, *args, **kwargs))

        guarded.required_role = needed  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: View) -> View:
    """Let strangers reach the view."""
    opened = login_not_required(view)
    opened.is_public = True  # type: ignore[attr-defined]
    return opened
