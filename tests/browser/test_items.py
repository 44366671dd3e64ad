"""The Items pages in a real browser: ticking by mouse and keyboard, doing and undoing, accessible and narrow in both themes."""

import json
from uuid import uuid4

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.services import user_create
from annotations import services
from annotations.models import Item, Project
from tests.annotations.conftest import tuple_of
from tests.browser.axe import serious_findings
from tests.often import often

pytestmark = pytest.mark.browser
LIST = reverse("annotations:item-list")
TEXTS = (
    "The capital of Australia is Canberra, which was chosen as a compromise between Sydney and Melbourne in 1908.",
    "I am not certain, but I believe that the treaty was signed in 1648 in Osnabrück and Münster.",
    "Copper melts at 1,085 °C.",
    "I do not know who built the harbour; the sources that I have seen do not say.",
)


@pytest.fixture
def full(db, tmp_path) -> Project:
    """Sixty items in a project, some scored, tagged, flagged and urgent."""
    project = services.project_create(name="Geography", actor=None, raters_per_item=2)
    lines = [
        tuple_of(n, answer=f"{TEXTS[n % 4]} ({n})",
                 metadata={"source_ai": ("atlas-base-0", "atlas-0-grpo")[n % 2], "confidence_score": n % 10 / 10})
        for n in range(60)
    ]  # fmt: skip
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    services.item_import(project=project, path=path, actor=None)
    people = [
        user_create(username=name, password="a long enough secret", role="annotator", actor=None) for name in ("ann", "bob")
    ]
    newest = list(Item.objects.order_by("-pk")[:12])
    for place, item in enumerate(newest[:6]):
        for who, person in enumerate(people):
            services.score_submit(
                item=item, actor=person, submission=uuid4(), overall=(2, -1, 0, -2, 1, 2)[(place + who * (place % 3)) % 6]
            )
    services.item_flag(item=newest[7], actor=people[0], reason="broken")
    services.bulk_start(
        action="tag", settings={"tags": ["second look", "rivers"]}, items=[one.pk for one in newest[2:5]], actor=None
    )
    services.bulk_start(action="priority", settings={"value": 5}, items=[newest[8].pk], actor=None)
    services.bulk_start(action="skill", settings={"value": "history"}, items=[newest[9].pk], actor=None)
    return project


def narrow(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.parametrize("theme", often(["light", "dark"], ["dark"]))
def test_a_full_list_is_accessible_and_narrow(page: Page, sign_in, shot, full, theme):
    user = sign_in("admin")
    services.view_save(
        name="Needs scores", wanted=services.saved_views.ItemFilter(asked={"state": "open"}), is_shared=True, actor=user
    )
    page.emulate_media(color_scheme=theme)
    page.goto(f"{LIST}?q=harbour+or+treaty+or+capital&sort=oldest&confidence_min=0.1")
    assert not serious_findings(page)
    narrow(page)
    page.get_by_role("checkbox", name="Tick item").first.check()
    page.locator("summary", has_text="Assign").click()
    assert not serious_findings(page)
    page.locator("summary", has_text="Assign").click()
    page.locator("summary", has_text="More filters").click()
    if theme == "light":
        page.goto(f"{LIST}?sort=&project=geography")
        page.get_by_role("checkbox", name="Tick item").nth(2).check()
        shot(page, "items-full")
        page.goto(f"{LIST}?tag=rivers&sort=score-low&project=geography")
        page.locator("summary", has_text="Tag").last.click()
        shot(page, "items-filtered")


@pytest.mark.full
def test_empty_lists_say_what_to_do_next(page: Page, sign_in, shot, db):
    sign_in("admin")
    for address in (LIST, f"{LIST}?q=zebra", f"{LIST}?state=assigned", f"{LIST}?state=deleted", reverse("annotations:bulk-list")):
        page.goto(address)
        expect(page.locator(".empty h2")).to_be_visible()
        expect(page.locator(".empty .btn")).to_be_visible()
        assert not serious_findings(page), address
        narrow(page)


def test_rows_are_ticked_by_keyboard_and_ranges_with_shift(page: Page, sign_in, full):
    sign_in("admin")
    page.goto(LIST)
    told = page.locator("#ticked")
    expect(told).to_have_text("Nothing ticked")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(told).to_have_text("1 ticked")
    for key in ("j", "j", "j", "Shift+X"):
        page.keyboard.press(key)
    expect(told).to_have_text("4 ticked")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(told).to_have_text("3 ticked")
    boxes = page.locator('input[name="items"]')
    boxes.nth(10).click()
    boxes.nth(20).click(modifiers=["Shift"])
    expect(told).to_have_text("14 ticked")
    page.locator("#tick-all").check()
    expect(told).to_have_text("50 ticked")
    page.locator("#all-matching").check()
    expect(told).to_have_text("All that match")
    page.keyboard.press("Tab")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()


def test_a_lead_tags_deletes_and_takes_it_back(page: Page, sign_in, shot, full):
    sign_in("admin")
    page.goto(LIST)
    for number in range(3):
        page.locator('input[name="items"]').nth(number).check()
    page.locator("summary", has_text="Tag").last.click()
    page.locator("#bulk-tags").fill("look here")
    page.keyboard.press("Enter")
    expect(page.locator(".notice--ok")).to_contain_text("3 items changed")
    expect(page.locator(".itemtag", has_text="look here")).to_have_count(3)
    shot(page, "items-done")
    page.goto(LIST)  # a photograph leaves empty style attributes behind, which the page's policy forbids to copy
    # Everything that a search finds.
    page.locator("#q").fill("harbour")
    expect(page.locator(".filterchip")).to_have_text("Words: harbour×remove")
    assert page.url.endswith("?q=harbour")
    page.locator("#all-matching").check()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".notice--ok")).to_contain_text("15 items changed")
    expect(page.locator(".empty h2")).to_have_text("No item matches")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#items-count")).to_contain_text("15 items")
    page.get_by_role("link", name="Past actions").click()
    expect(page.locator("tbody tr").first).to_contain_text("undone")
    assert not serious_findings(page)
    shot(page, "items-actions")
    narrow(page)


def test_filters_change_the_list_without_a_reload_and_can_each_be_removed(page: Page, sign_in, full):
    sign_in("member")
    page.goto(LIST)
    page.evaluate("window.stays = true")
    page.locator("#state").select_option("flagged")
    expect(page.locator("#items-count")).to_contain_text("1 item")
    page.locator("summary", has_text="More filters").click()
    page.locator("#source").select_option("atlas-0-grpo")
    expect(page.locator(".filterchip")).to_have_count(2)
    assert page.evaluate("window.stays") and "state=flagged&source=atlas-0-grpo" in page.url
    page.locator(".filterchip", has_text="Flagged").click()
    expect(page.locator("#items-count")).to_contain_text("30 items")
    assert page.url.endswith("?source=atlas-0-grpo")
    page.locator("#tag").fill("rivers")
    page.locator("#tag").press("Tab")
    expect(page.locator(".filterchip")).to_have_count(2)


def test_a_row_ticked_straight_after_a_search_stays_ticked(page: Page, sign_in, full):
    sign_in("member")
    page.goto(LIST)
    page.locator("#q").press_sequentially("harbour")
    expect(page.locator("#items-count")).to_contain_text("15 items")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator('input[name="items"]').nth(2).click()
    page.wait_for_timeout(500)  # what leaving the search field would have asked for comes within 50 ms
    expect(page.locator("#ticked")).to_have_text("1 ticked")
    assert not asked


def test_a_view_is_kept_as_the_page_is_now(page: Page, sign_in, full):
    sign_in("member")
    page.goto(LIST)
    page.locator("#state").select_option("done")
    expect(page.locator("#items-count")).to_contain_text("6 items")
    page.locator("summary", has_text="Views").click()
    page.locator("#view-name").fill("Finished")
    page.get_by_role("button", name="Keep").click()
    tab = page.get_by_role("link", name="Finished")
    expect(tab).to_have_attribute("aria-current", "page")
    expect(tab).to_have_attribute("href", f"{LIST}?state=done")


def test_pages_follow_each_other(page: Page, sign_in, full):
    sign_in("annotator")
    page.goto(f"{LIST}?sort=confidence-low")
    first = page.locator("tbody tr").first.get_attribute("data-item")
    page.get_by_role("link", name="Further").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    page.get_by_role("link", name="Earlier").click()
    expect(page.locator("tbody tr").first).to_have_attribute("data-item", first)
    assert page.locator('input[name="items"]').count() == 0


def test_without_scripts_everything_still_works(browser, live_server, sign_in, page: Page, full):
    sign_in("admin")
    plain = browser.new_context(base_url=live_server.url, java_script_enabled=False, storage_state=page.context.storage_state())
    one = plain.new_page()
    one.goto(LIST)
    one.locator("#state").select_option("open")
    one.get_by_role("button", name="Show").click()
    assert "state=open" in one.url
    one.locator('input[name="items"]').first.check()
    one.locator("summary", has_text="Priority").click()
    one.get_by_role("button", name="Set the priority").click()
    assert "1 item changed" in one.locator(".notice--ok").inner_text()
    assert Item.objects.filter(priority=2).count() == 1
    one.get_by_role("button", name="Undo").click()
    assert not Item.objects.filter(priority=2).exists()
    plain.close()
