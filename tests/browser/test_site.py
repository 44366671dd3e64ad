"""Every page that can be opened without naming a thing: no console error, nothing serious for axe, no sideways scrolling."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.browser.axe import serious_findings
from tests.browser.chromium import wait_for_charts
from tests.dashboards import seed
from tests.often import often

pytestmark = pytest.mark.browser
# What is no page of ours, or answers a POST or a stranger only.
LEFT_OUT = ("admin/", "api/", "account/login/", "account/logout/", "account/theme/")


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if address.startswith(LEFT_OUT) or "<" in address or isinstance(pattern.pattern, RegexPattern):
            continue
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, address)
        elif address == "" or address.endswith("/"):
            yield f"/{address}"


@pytest.mark.parametrize("theme", often(["light", "dark"], ["light"]))
def test_every_page_opens_clean(page: Page, sign_in, shot, tmp_path, theme):
    seed.whole_loop(tmp_path)
    sign_in("admin")
    page.emulate_media(color_scheme=theme)
    found: dict[str, list[str]] = {}
    for address in addresses(get_resolver(settings.ROOT_URLCONF).url_patterns):
        if page.request.get(address).status == 405:  # takes a POST only
            continue
        page.set_viewport_size({"width": 1440, "height": 900})
        response = page.goto(address)
        assert response is not None
        wait_for_charts(page)
        trouble = [] if response.status == 200 else [f"answered {response.status}"]
        trouble += serious_findings(page)
        page.set_viewport_size({"width": 360, "height": 740})
        width = page.evaluate("document.documentElement.scrollWidth")
        trouble += [f"{width} px wide at 360"] if width > 360 else []
        if trouble:
            found[address] = trouble
        if theme == "light":
            shot(page, f"site-{address.strip('/') or 'home'}")
    assert not found


@pytest.mark.parametrize("language", ["en", "pt"])
def test_on_a_telephone_the_way_to_chat_is_in_sight_beside_a_long_name(page: Page, sign_in, language: str) -> None:
    person = User.objects.create_user("maximiliana.von-und-zu-hohenstein", role="admin", language=language)
    sign_in(user=person)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/items/")
    chat = page.locator(".sidenav").get_by_role("link", name="Chat")
    expect(chat).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    header = page.locator(".header").bounding_box()
    assert header and header["height"] <= 100, "two rows, no third"
