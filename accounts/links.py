"""Addresses of pages, for the people who may see them."""

from functools import cache

from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from accounts.models import User


@cache
def _role(url: str) -> str | None:
    try:
        return getattr(resolve(url).func, "required_role", None)
    except Resolver404:
        return None


def page_for(user: User, name: str, *args: object) -> str | None:
    """The address of a page by its URL name; None where there is no such page or it is not for this person's role."""
    try:
        url = reverse(name, args=args)
    except NoReverseMatch:
        return None
    role = _role(url)
    return url if role is None or user.has_role(role) else None
