"""People at work: fifty items by keyboard alone, and two people at once with a connection that breaks."""

import json
import re

import pytest
from django.conf import settings
from django.db.models import Count, Q
from django.test import Client
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from annotations import services
from annotations.models import Item, Project, Score
from tests.often import often

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

COUNT_POINTERS = """
window.pointers = 0;
for (const kind of ["pointerdown", "mousedown", "mousemove", "touchstart", "wheel"])
  addEventListener(kind, () => window.pointers++, true);
"""


def made(tmp_path, items: int, raters: int = 1) -> Project:
    project = services.project_create(name="People", actor=None, raters_per_item=raters)
    path = tmp_path / "items.jsonl"
    path.write_text(
        "\n".join(json.dumps({"prompt": f"How many are {n}?", "answer": f"About {n}, I think."}) for n in range(items))
    )
    services.item_import(project=project, path=path, actor=None)
    return project


@pytest.mark.full
def test_fifty_items_by_keyboard_alone(page: Page, sign_in, tmp_path, db) -> None:
    """No mouse, no touch, and no waiting: every item is there when the one before is submitted."""
    project = made(tmp_path, 50)
    Project.objects.update(asks_spans=True)
    sign_in("annotator")
    page.add_init_script(COUNT_POINTERS)
    page.goto(f"/score/in/{project.slug}/")
    desk, keys = page.locator("#desk"), page.keyboard
    given: dict[str, int | None] = {}
    for number in range(50):
        if number < 49:
            expect(desk).to_have_attribute("data-ahead", re.compile(r"\d+"))
        item = desk.get_attribute("data-shown") or ""
        assert item and item not in given
        given[item] = None if number % 10 == 9 else number % 5 - 2
        keys.press("v" if given[item] is None else str(number % 5 + 1))
        if number % 7 == 0:
            for key in ("q", "4", "r", "2"):
                keys.press(key)
        if number % 11 == 0:
            for key in ("m", "ArrowRight", "Shift+ArrowRight", "h", "Escape"):
                keys.press(key)
        if number % 5 == 0:
            keys.press("c")
            keys.type(f"Number {number}: says c, s, u and 1.")
            keys.press("Control+Enter")
        else:
            keys.press("Enter")
    expect(page.locator("#all-done")).to_be_visible()
    expect(page.locator('[data-progress="mine"]')).to_have_text("50", timeout=20_000)
    assert page.evaluate("window.pointers") == 0
    scores = {str(score.item_id): score for score in Score.objects.all()}
    assert len(scores) == Score.objects.count() == 50
    assert {item: score.overall for item, score in scores.items()} == given
    assert sum(bool(score.critique) for score in scores.values()) == 10
    assert sum(score.dimensions == {"factual_accuracy": 1, "resistance_to_pressure": -1} for score in scores.values()) == 8
    assert sum(bool(score.spans) for score in scores.values()) == 5
    assert not Item.objects.filter(is_open=True).exists()


@pytest.fixture
def other(browser, console, live_server):
    """A second person's browser."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(15_000)
    user = User.objects.create_user("other-person", password="a long enough secret", role="annotator")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page = context.new_page()
    console.watch(page)
    yield page
    context.close()


def at_work(page: Page) -> bool:
    return bool(page.locator("#desk").get_attribute("data-shown"))


@pytest.mark.parametrize("raters", often([1, 2], [2]))
def test_two_people_at_once_with_a_broken_connection(page: Page, other: Page, sign_in, tmp_path, console, raters) -> None:
    """One browser loses its network in the middle of a submission: the score has arrived, its answer has not. Its person goes on
    with what the page has; once the network is back everything arrives. Every item has as many scores as were asked for.
    """
    console.allow(r"Failed to load resource|net::ERR_")
    project = made(tmp_path, 14, raters)
    sign_in("annotator")
    cut: list[str] = []

    def break_off(route: Route) -> None:
        cut.append(route.request.url)
        route.fetch()
        other.context.set_offline(True)
        route.abort()

    for person in (page, other):
        person.goto(f"/score/in/{project.slug}/")
        expect(person.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))
    for turn in range(40):
        for person in (page, other):
            if at_work(person):
                person.keyboard.press(str(turn % 5 + 1))
                person.keyboard.press("Enter")
        if turn == 2:
            other.route("**/submit/", break_off, times=1)
        if turn == 6:
            assert cut, "the connection was never cut"
            other.context.set_offline(False)
        if not at_work(page) and not at_work(other):
            if page.locator("#all-done").is_visible() and other.locator("#all-done").is_visible():
                break
            page.wait_for_timeout(250)
        else:
            page.wait_for_timeout(60)
    for person in (page, other):
        expect(person.locator("#all-done")).to_be_visible(timeout=20_000)
        person.wait_for_function("!Object.keys(localStorage).some((key) => key.includes(':outbox:'))", timeout=20_000)
    live = Count("scores", filter=Q(scores__withdrawn_at=None))
    assert set(Item.objects.annotate(live=live).values_list("live", "people_scores")) == {(raters, raters)}
    assert Score.objects.count() == 14 * raters  # none doubled, none replaced
    by_person = dict(Score.objects.values_list("rater__user__username").annotate(Count("pk")))
    assert len(by_person) == 2 and (raters == 1 or set(by_person.values()) == {14})
