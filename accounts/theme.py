"""The remembered theme: a cookie, so that the server writes it into the page and no script has to run first."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

COOKIE = "theme"
THEMES = ("light", "dark")
A_YEAR = 365 * 24 * 3600


def chosen_theme(request: HttpRequest) -> str:
    theme = request.COOKIES.get(COOKIE, "")
    return theme if theme in THEMES else ""


def remember_theme(response: HttpResponseBase, theme: str) -> None:
    """Keep the choice for a year; anything but light and dark means: follow the system."""
    if theme in THEMES:
        response.set_cookie(COOKIE, theme, max_age=A_YEAR, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=True)
    else:
        response.delete_cookie(COOKIE, samesite="Lax")
