"""The quality pages in a real browser: charts drawn, nothing serious for axe, no page wider than a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from annotations.models import Project, Score
from annotations.quality_compute import quality_run
from annotations.services import project_create, quality_queue
from tests.annotations.scored import items, score, scored_project
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def scored(db: None) -> Project:
    project = project_create(name="Capitals", actor=None, raters_per_item=3)
    _, who = scored_project(project, count=300, days=80)
    gold = items(project, 12, gold_score=1.0)
    Score.objects.bulk_create([score(item, rater, 1.0, seconds=3.0) for item in gold for rater in who[:2]])
    quality_run(project=project, actor=None)
    return project


def fits_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("scrollTo(0, 0)")


def charts_drawn(page: Page, count: int) -> None:
    assert page.locator(".chart").count() == count
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".main-svg").first).to_be_visible()
    assert page.locator(".chart--failed").count() == 0


@pytest.mark.full
def test_a_lead_reads_how_far_people_agree_and_looks_at_one_of_them(
    page: Page, sign_in: Callable[..., object], scored: Project, shot: Callable[[Page, str], None]
) -> None:
    sign_in("member")
    page.goto(f"/items/projects/{scored.slug}/quality/")
    expect(page.get_by_role("heading", name="How far people agree")).to_be_visible()
    charts_drawn(page, 2)
    assert serious_findings(page) == []
    fits_a_telephone(page)
    shot(page, "quality")
    lowest = page.get_by_role("row").get_by_role("link", name=re.compile(r"-3$")).first
    lowest.click()
    expect(page.get_by_text("Gives lower scores than the others.")).to_be_visible()
    charts_drawn(page, 2)
    assert serious_findings(page) == []
    fits_a_telephone(page)
    shot(page, "quality-annotator")


def test_an_empty_project_and_a_report_on_its_way(
    page: Page, sign_in: Callable[..., object], shot: Callable[[Page, str], None], db: None
) -> None:
    sign_in("member")
    project = project_create(name="Capitals", actor=None, raters_per_item=2)
    page.goto(f"/items/projects/{project.slug}/quality/")
    expect(page.get_by_text("Nothing is computed yet")).to_be_visible()
    assert serious_findings(page) == []
    expect(page.get_by_role("button", name="Compute")).to_have_count(0)
    shot(page, "quality-empty")
    scored_project(project, count=5)
    page.reload()
    expect(page.get_by_text("15 scores by people are waiting")).to_be_visible()
    page.get_by_role("button", name="Compute").click()
    expect(page.get_by_role("status").first).to_be_visible()
    expect(page.get_by_role("button", name="Compute")).to_have_count(0)
    assert quality_queue(project=project, actor=None).job is not None
    assert serious_findings(page) == []
    shot(page, "quality-waiting")
