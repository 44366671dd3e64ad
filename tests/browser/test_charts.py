"""A chart's menu in a real browser: pictures, numbers and a link, by keyboard and without scripts."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.mark.urls("tests.jobs.test_figures")
def test_the_menu_saves_pictures_by_keyboard(page: Page, tmp_path: Path):
    """Both pictures are made under the strict policy: the `page` fixture fails on anything that the console says."""
    page.goto("/try/?slice=B")
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    summary = page.locator("summary", has_text="Save")
    found = {}
    for format, steps in (("png", 2), ("svg", 3)):
        summary.focus()
        page.keyboard.press("Enter")
        for _ in range(steps):
            page.keyboard.press("Tab")
        with page.expect_download() as saved:
            page.keyboard.press("Enter")
        assert saved.value.suggested_filename == f"rlwhf-shares.{format}", "what the page is about, and the chart"
        found[format] = tmp_path / f"shares.{format}"
        saved.value.save_as(found[format])
        expect(summary).to_be_focused()
    assert found["png"].read_bytes().startswith(b"\x89PNG") and found["png"].stat().st_size > 5000
    text = found["svg"].read_text(encoding="utf-8")
    assert text.startswith("<svg") and "Shares &amp; intervals" in text and "var(" not in text
    summary.press("Enter")
    page.get_by_role("link", name="Link to this chart").click()
    expect(page).to_have_url(re.compile(r"\?slice=B#figure-shares$"))


@pytest.mark.urls("tests.jobs.test_figures")
def test_the_numbers_are_saved_without_scripts(browser, live_server):
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/try/")
    page.locator("summary", has_text="Save").click()
    expect(page.get_by_role("button", name="Picture as PNG")).to_be_hidden()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Numbers as CSV").click()
    assert saved.value.suggested_filename == "shares.csv"
    context.close()
