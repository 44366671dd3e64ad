"""The accounts pages as a person meets them."""

import re

import pytest
from playwright.sync_api import Page, expect

from accounts import services
from accounts.models import Role, User
from accounts.setup_link import setup_link_token
from tests.browser.axe import serious_findings
from tests.browser.conftest import PASSWORD

pytestmark = pytest.mark.browser


def test_the_first_admin_sets_the_site_up_and_logs_out(page: Page, shot):
    page.goto(f"/account/setup/{setup_link_token()}/")
    assert not serious_findings(page)
    shot(page, "setup")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account and log in").click()
    expect(page.get_by_text("Welcome, ada")).to_be_visible()
    page.locator("summary", has_text="ada").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_logging_in_by_keyboard_alone(page: Page, shot):
    User.objects.create_user("ann", password=PASSWORD)
    page.goto("/account/tokens/")
    shot(page, "login")
    assert not serious_findings(page)
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/account/tokens/$"))
    expect(page.get_by_role("heading", name="API tokens")).to_be_visible()


def test_the_theme_is_chosen_in_the_menu_and_stays(page: Page, sign_in, shot):
    sign_in("annotator")
    page.goto("/account/tokens/")
    page.locator("summary", has_text="annotator-person").click()
    assert not serious_findings(page)
    shot(page, "menu")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(18, 19, 21)"
    page.goto("/account/password/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.fixture
def peopled(sign_in) -> User:
    admin = sign_in("admin")
    for name, role in (
        ("ben", Role.MEMBER),
        ("cleo.with-a-rather-long-name@example.org", Role.ANNOTATOR),
        ("dora", Role.ANNOTATOR),
    ):
        person = services.user_create(username=name, password=PASSWORD, role=role, actor=admin)
        services.token_create(user=person, name="nightly import", actor=person)
    services.token_create(user=admin, name="dashboard export", actor=admin)
    services.token_revoke(token=services.token_create(user=admin, name="old laptop", actor=admin)[0], actor=admin)
    return admin


@pytest.mark.parametrize("path", ["people", "tokens", "audit", "password", "../no/such/page"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit_a_phone(page: Page, console, peopled, path, theme, shot):
    console.allow("404")
    page.emulate_media(color_scheme=theme)
    page.goto(f"/account/{path}/")
    assert not serious_findings(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not serious_findings(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    if theme == "light":
        shot(page, f"account-{path.rsplit('/', maxsplit=1)[-1]}")


def test_a_new_token_is_shown_and_copied(page: Page, sign_in, shot):
    sign_in("annotator")
    page.goto("/account/tokens/")
    page.get_by_label("Name").fill("notebook")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#secret")).to_contain_text("rlwhf_")
    assert not serious_findings(page)
    shot(page, "account-token-new")
    page.get_by_role("button", name="Revoke")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("is revoked", exact=False)).to_be_visible()


def test_the_way_to_the_content_is_the_first_stop(page: Page, sign_in):
    sign_in("annotator")
    page.goto("/account/tokens/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
