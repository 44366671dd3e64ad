"""Reviewing in a real browser: score, criticise, write a better answer; then somebody else reads the rounds before theirs."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from annotations import services
from annotations.models import Item, Project, Score, Turn
from tests.annotations.conftest import person
from tests.browser.axe import serious_findings

__all__ = ["person"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ANSWER = "The capital is **Town 1**.\n\nIt has 40,000 people, and everybody there speaks Portuguese."


@pytest.fixture
def project(db, tmp_path) -> Project:
    project = services.project_create(name="Capitals", actor=None, mode="review", review_rounds=2, asks_spans=True)
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"prompt": "What is the capital of country 1?", "answer": ANSWER}))
    services.item_import(project=project, path=path, actor=None)
    return Project.objects.get()


def open_desk(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ready", "")


def submitted(page: Page, count: int) -> None:
    expect(page.locator('[data-progress="mine"]')).to_have_text("1", timeout=20_000)
    assert Score.objects.filter(withdrawn_at=None).count() == count


@pytest.mark.full
def test_three_people_take_an_answer_through_its_rounds_by_keyboard_alone(page: Page, sign_in, project, person, shot) -> None:
    sign_in(user=person("ann"))
    open_desk(page, project)
    shot(page, "review")
    page.keyboard.press("1")
    page.keyboard.press("c")
    page.keyboard.type("The size is made up.")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    revised = page.locator("[name=revised_answer]")
    expect(revised).to_be_focused()
    expect(revised).to_have_value(ANSWER)
    expect(page.locator(".revision__difference")).to_contain_text("nothing is revised")
    page.keyboard.press("Control+End")
    for _ in range(len("Portuguese.")):
        page.keyboard.press("Backspace")
    page.keyboard.type("something, I <b>guess</b>.")
    expect(page.locator(".revision__difference del")).to_have_text("Portuguese.")
    expect(page.locator(".revision__difference ins")).to_have_text("something, I <b>guess</b>.")
    assert not serious_findings(page)
    shot(page, "review-revised")
    page.keyboard.press("Control+Enter")
    submitted(page, 1)
    first = Item.objects.get(iteration=0)
    second = Item.objects.get(iteration=1)
    assert second.answer == ANSWER.replace("Portuguese.", "something, I <b>guess</b>.") and second.written_by.name == "ann"

    sign_in(user=person("bob"))
    open_desk(page, project)
    expect(page.locator("#desk")).to_have_attribute("data-shown", str(second.pk))
    assert "ann" not in page.locator("#stage").inner_text().split()
    rounds = page.locator(".rounds")
    expect(rounds).not_to_contain_text("The size is made up.")
    page.keyboard.press("h")
    expect(rounds).to_contain_text("The size is made up.")
    expect(rounds).to_contain_text("everybody there speaks Portuguese")
    assert not serious_findings(page)
    shot(page, "review-rounds")
    page.keyboard.press("h")
    page.keyboard.press("2")
    page.keyboard.press("a")
    page.keyboard.press("Control+a")
    page.keyboard.type("I do not know.")
    page.keyboard.press("Control+Enter")
    submitted(page, 2)

    sign_in(user=person("cat"))
    open_desk(page, project)
    page.keyboard.press("h")
    expect(page.locator(".rounds__list > li")).to_have_count(2)
    expect(page.locator("[name=revised_answer]")).to_have_count(0)
    # Whoever asks to write an answer all the same writes the critique, and presses no keys of the desk with it.
    page.keyboard.press("5")
    page.keyboard.press("a")
    expect(page.locator("[name=critique]")).to_be_focused()
    expect(page.locator("#notices")).to_contain_text("last round")
    page.keyboard.type("1 s f u")
    expect(page.locator("[name=critique]")).to_have_value("1 s f u")
    page.keyboard.press("Control+Enter")
    submitted(page, 3)
    assert Score.objects.get(rater__name="cat", withdrawn_at=None).overall == 2
    last = Item.objects.get(iteration=2)
    assert (last.answer, last.revises, second.revises) == ("I do not know.", second, first)
    # Whoever read the critique of an answer can no longer score that answer.
    seen = Turn.objects.filter(rater__name="cat", state="revealed")
    assert [turn.item for turn in seen] == [first]
    page.goto(f"/items/{second.pk}/")
    expect(page.locator(".chain a")).to_have_count(2)
    assert not serious_findings(page)
    shot(page, "review-item")


def test_a_revised_answer_survives_a_reload_and_an_undo(page: Page, sign_in, project, person) -> None:
    sign_in(user=person("ann"))
    open_desk(page, project)
    page.keyboard.press("a")
    page.keyboard.press("Control+a")
    page.keyboard.type("Line one.\nLine two.")
    expect(page.locator(".scoring__saved")).to_have_text("Draft saved.")
    page.reload()
    page.evaluate(
        "Object.keys(localStorage).filter((key) => key.includes('draft')).forEach((key) => localStorage.removeItem(key))"
    )
    page.reload()
    expect(page.locator("[name=revised_answer]")).to_have_value("Line one.\nLine two.")
    expect(page.locator(".revision__difference ins")).to_have_count(1)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    submitted(page, 1)
    assert Item.objects.get(iteration=1).answer == "Line one.\nLine two."
    page.keyboard.press("u")
    expect(page.locator("[name=revised_answer]")).to_have_value(re.compile("Line one"))
    assert not Item.objects.filter(iteration=1).exists()


def test_without_scripts_a_better_answer_is_a_field_and_the_rounds_are_a_page(
    browser, live_server, project, person, client
) -> None:
    def as_(name: str) -> Page:
        client.force_login(person(name), backend="django.contrib.auth.backends.ModelBackend")
        context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        page = context.new_page()
        page.goto(f"/score/in/{project.slug}/")
        return page

    page = as_("ann")
    page.locator("[name=overall][value='-2']").check()
    page.locator("[name=revised_answer]").fill("Two\nlines.")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_load_state()
    assert Item.objects.get(iteration=1).answer == "Two\nlines."
    page.context.close()
    page = as_("bob")
    page.locator(".rounds summary").click()
    page.get_by_role("link", name="Show them").click()
    expect(page.locator(".rounds__list")).to_contain_text("40,000 people")
    page.context.close()
