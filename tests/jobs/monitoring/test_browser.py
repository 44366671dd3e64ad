"""Long runs and alerts in a real browser."""
# ruff: noqa: F811 (fixtures of the browser harness)

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs.alerting.rules import NO_PROGRESS, Finding
from jobs.alerting.services import alert_open, alerts_close
from jobs.charts import POINTS_AT_MOST
from jobs.models import Alert, Job
from jobs.services import job_queue
from tests.browser.axe import serious_findings
from tests.browser.conftest import browser_of_module as browser  # noqa: F401 (fixture)
from tests.browser.conftest import console, page, shot, sign_in  # noqa: F401 (fixtures)
from tests.jobs.conftest import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
expect.set_options(timeout=30_000)
LINES = 100_000
PEAK = 71_234


@pytest.fixture
def running(tmp_path: Path) -> Job:
    job = job_queue(kind="test.python", title="Train for long", payload={})
    now = timezone.now()
    held = {"state": "running", "lease_token": "0" * 32, "lease_until": now + timezone.timedelta(hours=1)}
    Job.objects.filter(pk=job.pk).update(**held, folder=str(tmp_path), attempt=1, started_at=now)
    return Job.objects.get(pk=job.pk)


def log(job: Job, first: int, last: int) -> None:
    with Path(job.folder, "metrics.jsonl").open("a") as file:
        for step in range(first, last):
            row = {"step": step, "loss": 99.0 if step == PEAK else 2 / step**0.5, "reward": step % 100 / 100, "kl": 1 / step}
            file.write(json.dumps(row) + "\n")


def line(page: Page, axis: str = "y") -> list[float]:
    """What the first chart shows. Asked again and again from here: the page's policy lets no text be run as code."""
    return list(page.evaluate("axis => document.querySelector(\"[data-chart='metric-0']\")?.data?.[0][axis] ?? []", axis))


def ends_with(page: Page, step: int) -> None:
    until(lambda: line(page, "x")[-1:] == [step], within=60)


@pytest.mark.full
def test_a_hundred_thousand_points_are_drawn_and_go_on_live(page: Page, sign_in: Callable[..., object], running: Job) -> None:
    log(running, 1, LINES)
    sign_in("member")
    began = time.monotonic()
    answer = page.goto(running.get_absolute_url(), timeout=60_000)
    assert answer is not None
    for chart in page.locator(".chart").all():
        expect(chart.locator(".main-svg").first).to_be_attached()
    assert time.monotonic() - began < 60, "on a machine that does much else beside"
    assert len(answer.body()) < 250_000
    assert len(line(page)) <= POINTS_AT_MOST and max(line(page)) == 99.0
    log(running, LINES, LINES + 3)
    ends_with(page, LINES + 2)


@pytest.mark.full
def test_a_page_that_was_open_for_long_is_thinned_out_again(page: Page, sign_in: Callable[..., object], running: Job) -> None:
    log(running, 1, 50)
    sign_in("member")
    page.goto(running.get_absolute_url())
    ends_with(page, 49)
    for first in range(50, 2550, 500):  # as pieces come, each thinned to less than the page keeps
        log(running, first, first + 500)
        ends_with(page, first + 499)
    until(lambda: 49 < len(line(page)) <= POINTS_AT_MOST, within=60)
    assert line(page)[-1] == pytest.approx(2 / 2549**0.5, rel=1e-4)


def test_an_alert_comes_and_goes_before_ones_eyes_and_is_acknowledged(
    page: Page, sign_in: Callable[..., object], running: Job, shot: Callable[[Page, str], None]
) -> None:
    log(running, 1, 50)
    sign_in("admin")
    page.goto(running.get_absolute_url())
    found = Finding(NO_PROGRESS, "It has not moved for 12 minutes: no step, no metrics.", "Look at its log.")
    alert = alert_open(subject=f"job {running.pk}", finding=found, job=running)
    expect(page.get_by_text("It has not moved for 12 minutes")).to_be_visible()
    shot(page, "job-alert")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Acknowledge: No progress").click()
    expect(page.get_by_role("heading", name="Alerts")).to_be_visible()
    expect(page.get_by_text("seen by admin")).to_be_visible()
    shot(page, "alerts")
    assert serious_findings(page) == []
    page.go_back()
    expect(page.get_by_text("seen by admin")).to_be_visible()
    alerts_close([Alert.objects.get(pk=alert.pk)], because="It is over.")
    expect(page.get_by_text("It has not moved for 12 minutes")).to_have_count(0)


def test_the_page_of_prices(page: Page, sign_in: Callable[..., object], shot: Callable[[Page, str], None]) -> None:
    sign_in("admin")
    page.goto("/jobs/prices/")
    page.get_by_label("Per hour").fill("1.8")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_text("1.8 EUR")).to_be_visible()
    assert serious_findings(page) == []
    shot(page, "prices")
    page.set_viewport_size({"width": 360, "height": 800})
    for address in ("/jobs/prices/", "/jobs/alerts/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
