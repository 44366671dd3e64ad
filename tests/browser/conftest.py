"""The browser harness: a real Chromium against Django's live server. A page that logs an error fails its test."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from accounts.models import User
from tests.browser.chromium import chromium_path, launch, photograph

PASSWORD = "correct-horse-battery"
# How long a request that outlives its page may take; an event stream notices only when it next writes.
SETTLED_S = 3.0


class Console:
    """What the page logged as an error. `allow` takes a pattern of what the test means to provoke."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.allowed: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def allow(self, pattern: str) -> None:
        self.allowed.append(pattern)

    def unexpected(self) -> list[str]:
        return [error for error in self.errors if not any(re.search(pattern, error) for pattern in self.allowed)]


def a_browser() -> Iterator[Browser]:
    """A browser that runs until the generator ends."""
    if chromium_path() is None:
        reason = "no Chromium: put one on the PATH or name it in RLWHF_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Django takes that event loop for an async view's and would refuse the tests the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for the tests of this folder, not for the session: while Playwright's synchronous API is on, the thread has a
    running event loop, with which tests of async code could not start theirs. Each test has a profile of its own."""
    yield from a_browser()


@pytest.fixture(scope="module")
def browser_of_module() -> Iterator[Browser]:
    """One browser for a test module of another folder, which imports this as `browser`."""
    yield from a_browser()


@pytest.fixture
def console() -> Console:
    return Console()


@contextmanager
def requests_counted() -> Iterator[Callable[[], int]]:
    """How many requests the live server has begun and not ended."""
    lock, counts = threading.Lock(), {"begun": 0, "ended": 0}

    def begun(**_: Any) -> None:
        with lock:
            counts["begun"] += 1

    def ended(**_: Any) -> None:
        with lock:
            counts["ended"] += 1

    request_started.connect(begun)
    request_finished.connect(ended)
    try:
        yield lambda: counts["begun"] - counts["ended"]
    finally:
        request_started.disconnect(begun)
        request_finished.disconnect(ended)


@pytest.fixture
def page(browser: Browser, console: Console, live_server: Any) -> Iterator[Page]:
    """A fresh page of a fresh profile, at 1440 px; relative addresses go to the live server."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(15_000)
    page = context.new_page()
    console.watch(page)
    with requests_counted() as under_way:
        yield page
        context.close()
        # One that is still under way holds locks that the emptying of the tables would wait for, and the other way round.
        until = time.monotonic() + SETTLED_S
        while under_way() and time.monotonic() < until:
            time.sleep(0.02)
    assert not console.unexpected(), "the page logged errors: " + "; ".join(console.unexpected())


@pytest.fixture
def sign_in(page: Page, live_server: Any) -> Callable[..., User]:
    """`sign_in("admin")` makes a person with that role and logs the browser in as them; or give a User."""

    def _sign_in(role: str = "admin", user: User | None = None) -> User:
        person = user or User.objects.create_user(
            f"{role}-person", password=PASSWORD, role=role, is_staff=role == "admin", is_superuser=role == "admin"
        )
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        return person

    return _sign_in


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """`shot(page, "scoring")` photographs the page at both widths in both themes, where RLWHF_SHOTS is set."""

    def _shot(page: Page, name: str) -> None:
        if os.environ.get("RLWHF_SHOTS"):
            photograph(page, name)

    return _shot
