"""What photographs are called."""

from tests.browser.shots import name_of


def test_two_views_of_a_page_are_two_photographs() -> None:
    site = "http://127.0.0.1:8000"
    names = [name_of(f"{site}{path}") for path in ("/", "/evaluate/compare/?ids=1,2", "/evaluate/compare/?ids=1,3", "/items/")]
    assert names[0] == "home" and names[3] == "items" and len(set(names)) == 4
