"""Keys that a person has changed, at the desk and on the page for it."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from annotations import services
from annotations.models import Project, Score, Turn
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(db, tmp_path) -> Project:
    project = services.project_create(name="Keys", actor=None)
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"Why {n}?", "answer": f"Because {n}."}) for n in range(6)))
    services.item_import(project=project, path=path, actor=None)
    return project


def start(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))


def test_a_key_is_changed_in_the_sheet_and_holds_at_once_and_elsewhere(page: Page, sign_in, project, console) -> None:
    console.allow("422")
    sign_in("annotator")
    start(page, project)
    page.keyboard.press("?")
    button = page.locator("[data-change-key=skip]")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-keys-said]")).to_contain_text("Press the key")
    page.keyboard.press("f")
    expect(page.locator("[data-keys-said]")).to_contain_text("“F” is the key for “flag a problem with the item” already.")
    assert not serious_findings(page)
    button.click()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_visible()
    button.click()
    page.keyboard.press("z")
    expect(page.locator("[data-keys-said]")).to_contain_text("Saved")
    page.locator("[data-change-key=overall_5]").click()
    page.keyboard.press("j")
    expect(page.locator("[data-change-key=overall_5] kbd")).to_have_text("J")
    page.keyboard.press("Escape")
    expect(page.locator("[data-action=skip] kbd")).to_have_text("Z")
    first = page.locator("#desk").get_attribute("data-shown") or ""
    page.keyboard.press("s")
    expect(page.locator("#desk")).to_have_attribute("data-shown", first)
    page.keyboard.press("z")
    expect(page.locator("#desk")).not_to_have_attribute("data-shown", first)
    expect(page.locator("[data-action=skip] kbd")).to_have_text("Z")  # in the item loaded ahead, too
    start(page, project)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator('[data-progress="mine"]')).to_have_text("1")
    assert Score.objects.get().overall == 2 and Turn.objects.filter(state="skipped").count() == 1
    page.keyboard.press("?")
    page.click("[data-reset-keys]")
    expect(page.locator("[data-change-key=skip] kbd")).to_have_text("S")
    assert User.objects.get().keys == {}


def test_the_page_of_keys_takes_the_key_that_is_pressed(page: Page, sign_in, project, shot, console) -> None:
    console.allow("422")
    sign_in("annotator")
    page.goto("/account/keys/")
    page.focus("#key-skip")
    page.keyboard.press("Shift+Z")
    expect(page.locator("#key-skip")).to_have_value("z")
    page.focus("#key-submit")
    page.keyboard.press("F2")
    expect(page.locator("#key-submit")).to_have_value("F2")
    page.keyboard.press("Tab")
    expect(page.locator("#key-skip")).to_be_focused()
    page.click("button:has-text('Save')")
    expect(page.locator("#notices")).to_contain_text("Your keys are saved.")
    assert User.objects.get().keys == {"skip": "z", "submit": "F2"}
    shot(page, "keys")
    assert not serious_findings(page)
    page.focus("#key-flag")
    page.keyboard.press("u")
    page.click("button:has-text('Save')")
    expect(page.locator(".field__error")).to_contain_text("“U” is the key for")
    assert not serious_findings(page)
