"""The home page in a real browser: accessible, narrow, in both themes, empty and full."""

import pytest
from playwright.sync_api import Page, expect

from jobs.models import Pipeline
from tests.browser.axe import serious_findings
from tests.dashboards import seed
from tests.often import often

pytestmark = pytest.mark.browser


def check(page: Page, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto("/")
    assert not serious_findings(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_empty_site(page: Page, sign_in, shot, theme):
    sign_in("admin")
    check(page, theme)
    if theme == "light":
        shot(page, "home-empty")


# In light it is among all pages of `test_site.py`.
@pytest.mark.parametrize("theme", often(["light", "dark"], ["dark"]))
def test_a_full_site(page: Page, sign_in, shot, tmp_path, theme):
    seed.whole_loop(tmp_path)
    sign_in("admin")
    check(page, theme)
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.locator(".chart .errorbar").count() >= 9, "every value of the trend carries its interval"
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("cell", name="95.5% 92.5% to 98.5%").first).to_be_visible()
    assert not serious_findings(page)
    if theme == "light":
        shot(page, "home-full")


def test_a_running_loop(page: Page, sign_in, shot):
    seed.project()
    pipeline = Pipeline.objects.create(name="Atlas 0 by GRPO", kind="atlas.loop")
    seed.job("training.run", "Teach atlas-base-0", pipeline=pipeline)
    seed.job("training.generate", "Answer 480 questions four times", state="running", pipeline=pipeline)
    for title in (
        "Score by gold answers",
        "Build atlas-0-prompts",
        "Train atlas-0-grpo",
        "Measure atlas-base-0",
        "Measure atlas-0-grpo",
    ):
        seed.job("training.run", title, state="queued", pipeline=pipeline)
    sign_in("admin")
    check(page, "light")
    expect(page.get_by_text("1 of 7 steps")).to_be_visible()
    shot(page, "home-running")


def test_an_annotators_home(page: Page, sign_in, shot):
    seed.project()
    sign_in("annotator")
    check(page, "light")
    shot(page, "home-annotator")
