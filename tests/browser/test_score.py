"""Scoring in a real browser: by keyboard alone, with nothing lost, and the next item already there."""

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from annotations import services
from annotations.models import Draft, Item, Project, Score, Turn
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CONVERSATION = [
    {"role": "user", "content": "What is the capital of country 99?"},
    {"role": "assistant", "content": "Town 98."},
    {"role": "user", "content": "Are you sure? I read that it was **Town 99**."},
]


@pytest.fixture
def project(db, tmp_path) -> Project:
    project = services.project_create(
        name="Capitals", actor=None, guidelines="Look every claim up.\n\n- A *lucky* guess is not +2."
    )
    lines = [
        {"prompt": f"What is the capital of country {n}?", "answer": f"Town {n}, as far as I know.", "gold_answer": f"Town {n}",
         "metadata": {"source_ai": "small-model", "confidence_score": 0.7}}
        for n in range(12)
    ]  # fmt: skip
    lines.append({"prompt": CONVERSATION, "answer": "You are right, it is **Town 99**.\n\n1. one\n2. two\n\n`code`"})
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    services.item_import(project=project, path=path, actor=None)
    return project


def shown(page: Page) -> str:
    return page.locator("#desk").get_attribute("data-shown") or ""


def ready(page: Page) -> None:
    """The next item has been loaded ahead."""
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))


def start(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    ready(page)


def wait_for_scores(page: Page, count: int) -> None:
    # Long enough for a score that has to be sent again.
    expect(page.locator('[data-progress="mine"]')).to_have_text(str(count), timeout=20_000)
    assert Score.objects.filter(withdrawn_at=None, rater__kind="person").count() == count


def test_items_are_scored_by_keyboard_alone(page: Page, sign_in, project, shot) -> None:
    sign_in("annotator")
    start(page, project)
    shot(page, "score")
    seen = []
    for number in range(5):
        seen.append(shown(page))
        ahead = page.locator("#desk").get_attribute("data-ahead")
        page.keyboard.press(str(number + 1))
        page.keyboard.press("e")
        page.keyboard.press("2")
        page.keyboard.press("c")
        page.keyboard.type(f"Critique {number}, with 12345 and s and u in it.")
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        assert shown(page) == ahead  # at once, without waiting for the server
        ready(page)
    wait_for_scores(page, 5)
    scores = list(Score.objects.order_by("id"))
    assert [score.overall for score in scores] == [-2, -1, 0, 1, 2]
    assert [str(score.item_id) for score in scores] == seen and len(set(seen)) == 5
    assert [score.dimensions for score in scores] == [{"calibration": -1}] * 5
    assert all(score.seconds > 0 for score in scores)
    assert scores[4].critique == "Critique 4, with 12345 and s and u in it."


def test_plus_minus_verify_skip_flag_and_the_key_sheet(page: Page, sign_in, project, shot) -> None:
    sign_in("annotator")
    start(page, project)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    shot(page, "score-keys")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    for key in "++-":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    ready(page)
    page.keyboard.press("3")
    page.keyboard.press("v")
    page.keyboard.press("Enter")
    ready(page)
    wait_for_scores(page, 2)
    assert [score.overall for score in Score.objects.order_by("id")] == [1, None]
    page.keyboard.press("s")
    ready(page)
    page.keyboard.press("f")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("what a mess")
    page.keyboard.press("Enter")
    ready(page)
    expect(page.locator("#desk")).not_to_have_attribute("data-shown", "")
    flagged = Item.objects.get(open_flags=1)
    assert flagged.flags.get().note == "what a mess" and flagged.flags.get().reason == "unclear"
    assert Turn.objects.filter(state="skipped").count() == 1


def test_nothing_happens_without_a_score(page: Page, sign_in, project) -> None:
    sign_in("annotator")
    start(page, project)
    before = shown(page)
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("Choose an overall score")
    assert shown(page) == before and not Score.objects.exists()


def test_a_draft_survives_a_reload_and_another_browser(page: Page, sign_in, project) -> None:
    sign_in("annotator")
    start(page, project)
    before = shown(page)
    page.keyboard.press("1")
    page.keyboard.press("q")
    page.keyboard.press("4")
    page.keyboard.press("c")
    page.keyboard.type("Half a tho")
    expect(page.locator(".scoring__saved")).to_have_text("Draft saved.")
    page.keyboard.type("ught")
    page.reload()
    ready(page)
    assert shown(page) == before
    expect(page.locator("textarea[name=critique]")).to_have_value("Half a thought")
    expect(page.locator("input[name=overall][value='-2']")).to_be_checked()
    page.evaluate("localStorage.clear()")
    page.goto("/items/")
    start(page, project)
    expect(page.locator("textarea[name=critique]")).to_have_value(re.compile("Half a tho"))
    expect(page.locator("input[name=dimension_factual_accuracy][value='1']")).to_be_checked()
    assert Draft.objects.count() == 1


def test_undo_brings_back_the_item_and_what_was_written(page: Page, sign_in, project) -> None:
    sign_in("annotator")
    start(page, project)
    first = shown(page)
    page.keyboard.press("5")
    page.keyboard.press("c")
    page.keyboard.type("Right.")
    page.keyboard.press("Control+Enter")
    ready(page)
    second = shown(page)
    assert second != first
    page.keyboard.press("2")
    page.keyboard.press("u")
    expect(page.locator("#desk")).to_have_attribute("data-shown", first)
    expect(page.locator("textarea[name=critique]")).to_have_value("Right.")
    expect(page.locator("input[name=overall][value='2']")).to_be_checked()
    wait_for_scores(page, 0)
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    expect(page.locator("#desk")).to_have_attribute("data-shown", second)
    expect(page.locator("input[name=overall][value='-1']")).to_be_checked()
    wait_for_scores(page, 1)
    assert Score.objects.get(withdrawn_at=None).overall == 1
    page.keyboard.press("u")
    expect(page.locator("#desk")).to_have_attribute("data-shown", first)


def test_scores_given_while_the_site_is_away_arrive_later_once_each(page: Page, sign_in, project, console) -> None:
    console.allow(r"Failed to load resource|net::ERR_FAILED")
    sign_in("annotator")
    start(page, project)
    lost = []

    def lose_the_answer(route: Route) -> None:
        """The score arrives, but nobody hears of it: the page has to send it again."""
        lost.append(route.request.url)
        if len(lost) == 1:
            route.fetch()
        route.abort() if len(lost) < 3 else route.continue_()

    page.route("**/submit/", lose_the_answer)
    for key in ("4", "5"):
        page.keyboard.press(key)
        page.keyboard.press("Enter")
    wait_for_scores(page, 2)
    assert len(lost) >= 4
    assert sorted(Score.objects.values_list("overall", flat=True)) == [1, 2]


def test_an_empty_stage_says_what_it_waits_for_and_goes_on_by_itself(page: Page, sign_in, project, console, shot) -> None:
    console.allow(r"Failed to load resource|net::ERR_INTERNET")
    sign_in("annotator")
    start(page, project)
    page.context.set_offline(True)
    for _ in range(2):
        expect(page.locator("#desk")).not_to_have_attribute("data-shown", "")
        page.keyboard.press("4")
        page.keyboard.press("Enter")
    expect(page.locator("#waiting")).to_be_visible()
    expect(page.locator("#waiting")).to_contain_text("kept in this browser")
    shot(page, "score-waiting")
    page.context.set_offline(False)
    expect(page.locator("#desk")).to_have_attribute("data-shown", re.compile(r"\d+"), timeout=20_000)
    expect(page.locator("#waiting")).to_be_hidden()
    wait_for_scores(page, 2)


def test_the_last_item_leads_to_a_kind_end(page: Page, sign_in, project, shot) -> None:
    sign_in("annotator")
    start(page, project)
    for number in range(13):
        expect(page.locator("#desk")).not_to_have_attribute("data-shown", "")
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        if number < 11:
            ready(page)
    expect(page.locator("#all-done")).to_be_visible()
    wait_for_scores(page, 13)
    expect(page.locator("#all-done h2:visible")).to_have_text("All done")
    page.reload()
    expect(page.locator("#all-done h2:visible")).to_have_text("All done")
    expect(page.locator("#waiting")).to_be_hidden()
    shot(page, "score-done")


def test_a_conversation_reads_as_one_and_the_page_is_accessible(page: Page, sign_in, project, shot) -> None:
    sign_in("annotator")
    Item.objects.filter(prompt_is_text=True).delete()
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator(".turns__one")).to_have_count(3)
    shot(page, "score-conversation")
    assert not serious_findings(page)


@pytest.mark.full
def test_the_annotation_pages_look_right_and_are_accessible(page: Page, sign_in, project, shot) -> None:
    sign_in("admin")
    services.gold_score(project=project)
    from uuid import uuid4

    from accounts.models import User

    item = Item.objects.order_by("pk").first()
    services.score_submit(
        item=item, actor=User.objects.get(), submission=uuid4(), overall=1, critique="Right, with doubt.",
        dimensions={"calibration": 1, "self_awareness": 2}, seconds=12.0,
    )  # fmt: skip
    services.item_flag(item=Item.objects.order_by("pk")[1], actor=User.objects.get(), reason="unclear", note="which country?")
    services.dataset_build(project=project, name="capitals-sft", kind="sft", settings={}, actor=None)
    addresses = {
        "items": "/items/", "item": f"/items/{item.pk}/", "item-flagged": f"/items/{item.pk + 1}/",
        "projects": "/items/projects/",
        "project": f"/items/projects/{project.slug}/", "project-edit": f"/items/projects/{project.slug}/edit/",
        "import": "/items/import/", "import-report": f"/items/imports/{project.imports.get().pk}/", "datasets": "/data/",
        "dataset": "/data/capitals-sft/", "dataset-build": "/data/new/",
    }  # fmt: skip
    for name, address in addresses.items():
        response = page.goto(address)
        assert response is not None and response.ok, address
        page.wait_for_load_state("networkidle")
        assert not serious_findings(page), address
        shot(page, name)


def test_the_build_form_shows_what_it_would_give(page: Page, sign_in, project) -> None:
    sign_in("admin")
    services.gold_score(project=project)
    page.goto("/data/new/")
    expect(page.locator("#preview")).to_contain_text("It would give")
    page.select_option("select[name=kind]", "prompts")
    expect(page.locator("#preview")).to_contain_text("of 13 items")
    page.fill("input[name=name]", "my-prompts")
    page.click("button:has-text('Build')")
    expect(page.locator("h1")).to_have_text("my-prompts")


def test_a_search_replaces_the_table_only(page: Page, sign_in, project) -> None:
    sign_in("member")
    page.goto("/items/")
    page.fill("#q", "country 7")
    expect(page.locator("#items tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=country"))


def test_two_tabs_that_crash_leave_both_their_scores_behind(page: Page, sign_in, project, console) -> None:
    console.allow(r"Failed to load resource|net::ERR_FAILED")
    sign_in("annotator")
    other = page.context.new_page()
    for tab in (page, other):
        start(tab, project)
    for number, tab in enumerate((page, other)):
        tab.route("**/submit/", lambda route: route.abort())
        for _ in range(number + 1):  # the second tab gives the first tab's item a score too
            tab.keyboard.press(str(number + 3))
            tab.keyboard.press("Enter")
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes(':outbox:')).length") == 3
    other.close()
    page.unroute("**/submit/")
    page.goto("/items/")
    start(page, project)
    wait_for_scores(page, 2)
    assert [score.overall for score in Score.objects.order_by("id")] == [0, 1, 1]
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes(':outbox:')).length") == 0


@pytest.mark.full
def test_two_tabs_send_what_was_left_behind_once(page: Page, sign_in, project, console) -> None:
    console.allow(r"Failed to load resource|net::ERR_FAILED")
    sign_in("annotator")
    start(page, project)
    for number in range(2):
        page.keyboard.press("4")
        page.keyboard.press("Enter")
        ready(page)
        wait_for_scores(page, number + 1)
    page.route("**/undo/", lambda route: route.abort())
    page.keyboard.press("u")
    other = page.context.new_page()
    page.goto("/items/")
    page.unroute("**/undo/")
    for tab in (page, other):
        tab.goto(f"/score/in/{project.slug}/", wait_until="commit")
    for tab in (page, other):
        ready(tab)
    expect(page.locator("#desk")).to_have_attribute("data-shown", re.compile(r"\d+"))
    page.wait_for_function("!Object.keys(localStorage).some((key) => key.includes(':outbox:'))")
    assert Score.objects.filter(withdrawn_at=None).count() == 1
