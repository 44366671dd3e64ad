"""The language of the pages: what a person has chosen; else this browser's choice; else what the browser asks for."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import translation

from accounts.models import User

A_YEAR = 365 * 24 * 3600


def is_known(language: str) -> bool:
    return language in dict(settings.LANGUAGES)


def language_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Comes after Django's LocaleMiddleware, which reads cookie and browser, and after the log-in, which says who it is."""

    def middleware(request: HttpRequest) -> HttpResponse:
        chosen = request.user.language if isinstance(request.user, User) else ""
        if chosen and is_known(chosen):
            translation.activate(chosen)
            request.LANGUAGE_CODE = chosen
        return get_response(request)

    return middleware


def remember_language(response: HttpResponseBase, language: str) -> None:
    """In this browser, for the pages before the log-in; anything unknown means: as the browser asks."""
    if is_known(language):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=A_YEAR,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
        )
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, samesite="Lax")
