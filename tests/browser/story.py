"""A whole site of its own, `rlwhf up` on a new state folder, and people who use it through real browsers and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.chromium import photograph
from tests.browser.conftest import PASSWORD, Console
from tests.rlwhf_site.test_supervisor import Site

JOB_S = 400.0
"""A job's time on a machine that others use as well."""


@contextmanager
def running_site(**environment: str) -> Iterator[Site]:
    """`rlwhf up` with workers for the CPU and the site, on a new state folder; nothing of it is left."""
    home = Path(tempfile.mkdtemp(prefix="rlwhf-story-"))
    home.chmod(0o755)
    site = Site(home)
    site.env |= {"RLWHF_DASHBOARD_SECONDS": "0"} | environment
    try:
        yield site.start("--tags", "cpu,site").wait_until_ready()
    finally:
        site.end()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def served_by(site: Site, *models: str) -> Iterator[str]:
    """The address of `rlwhf serve` with these models of the site."""
    command = [sys.executable, "manage.py", "serve", *models, "--port", "0"]
    process = subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=site.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("Serving "), said
        yield said.rsplit(" ", 1)[1].strip()
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def setup_link(site: Site) -> str:
    """Where the first admin is made."""
    found = re.search(r"http\S+/account/setup/\S+", site.process.stdout.readline())
    assert found is not None
    return found[0]


class Person:
    """Somebody with a browser profile of their own."""

    def __init__(self, browser: Browser, site: Site, console: Console, *, width: int = 1440) -> None:
        self.context = browser.new_context(
            base_url=site.address, viewport={"width": width, "height": 900}, color_scheme="light", accept_downloads=True
        )
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.page.on("dialog", lambda dialog: dialog.accept())
        console.watch(self.page)
        self._shots = 0

    # --- seeing

    def shot(self, name: str) -> None:
        """A photograph of the page as it stands, where RLWHF_SHOTS is set."""
        if os.environ.get("RLWHF_SHOTS"):
            self._shots += 1
            photograph(self.page, f"story-{self._shots:02d}-{name}")

    def sees(self, *words: str | re.Pattern[str]) -> None:
        for one in words:
            expect(self.page.locator("#main")).to_contain_text(one)

    def told(self, words: str | re.Pattern[str]) -> None:
        """What the page says came of the last button."""
        expect(self.page.locator("#notices")).to_contain_text(words)

    # --- doing

    def goes(self, address: str) -> None:
        try:
            answer = self.page.goto(address)
        except PlaywrightError as error:
            if "ERR_ABORTED" not in str(error):
                raise
            answer = self.page.goto(address)  # a page that follows a job loaded itself anew at that moment
        assert answer is not None and answer.status == 200, f"{address} answered {answer and answer.status}"

    @contextmanager
    def another_page(self) -> Iterator[None]:
        """What is done within leads to another page, or to the same anew; waits until that is there."""
        self.page.evaluate("window.isTheOneBefore = true")
        yield
        self.page.wait_for_function("() => !window.isTheOneBefore && document.readyState === 'complete'")

    def follows(self, name: str, *, within: str = "#main") -> None:
        with self.another_page():
            self.page.locator(within).get_by_role("link", name=name, exact=True).first.click()

    def opens_menu(self, name: str) -> None:
        """One of the entries behind the person's own name."""
        self.page.locator(".sidenav details.menu > summary").click()
        self.follows(name, within=".sidenav")

    def fills(self, **fields: str | bool) -> None:
        """Form fields by their names; a choice by the beginning of its label."""
        for name, value in fields.items():
            field = self.page.locator(f"#main [name='{name}']:not([type=hidden])").first
            if isinstance(value, bool):
                field.set_checked(value)
            elif field.evaluate("e => e.tagName") == "SELECT":
                labels = field.locator("option").all_inner_texts()
                field.select_option(index=next(n for n, label in enumerate(labels) if label.strip().startswith(value)))
            else:
                field.fill(value)

    def presses(self, name: str, *, within: str = "#main") -> None:
        with self.another_page():
            self.page.locator(within).get_by_role("button", name=name, exact=True).first.click()

    def logs_in(self, name: str) -> None:
        self.goes("/account/login/")
        self.page.locator("#id_username").fill(name)
        self.page.locator("#id_password").fill(PASSWORD)
        self.page.locator("main button.btn--primary").click()
        self.page.wait_for_url(lambda url: "/login/" not in url)

    def waits_for_job(self, *, within: float = JOB_S) -> None:
        """Until the job whose state this page shows has ended, by what the page itself says, and well. A scorecard's page shows
        the scorecard then, and the state no more.
        """
        state = "(document.querySelector('[data-job-state]')?.dataset.jobState ?? 'succeeded')"
        self.page.wait_for_function(f"() => ['succeeded', 'failed', 'stopped'].includes({state})", timeout=within * 1000)
        self.page.wait_for_load_state()
        assert self.page.evaluate(state) == "succeeded", self.page.locator("#main").inner_text()[:3000]

    def waits_until(self, holds: Callable[[], bool], *, within: float = JOB_S) -> None:
        """Looks at the page again and again."""
        for _ in range(int(within)):
            if holds():
                return
            self.page.wait_for_timeout(1000)
            self.page.reload()
        raise AssertionError(f"not within {within} s: {self.page.locator('#main').inner_text()[:3000]}")
