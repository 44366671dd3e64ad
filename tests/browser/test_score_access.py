"""Every state of the desk for everybody: axe finds nothing serious, targets are large enough, the focus is never hidden, a phone
is wide enough. (WCAG 2.2 AA: 2.5.8, 2.4.11, 1.4.10.)
"""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from annotations import services
from annotations.models import Item, Project
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "A paragraph with **bold** words and a [link](https://x.example).\n\n" * 60
CODE = (
    "```python\nvalue = "
    + "1 + " * 80
    + "1\n```\n\n|"
    + "a long heading|" * 12
    + "\n|"
    + "-|" * 12
    + "\n\n$$"
    + "x + " * 90
    + "x$$"
)

# Of what can be pressed, what is smaller than 24 by 24 px and neither in a sentence nor a label's hidden input.
SMALL = """() => [...document.querySelectorAll("button, summary, select, input, textarea, a, label")].filter((one) => {
  const { width, height } = one.getBoundingClientRect();
  if (!width || !height || one.closest(".prose, .visually-hidden, .skip, p, .keys__list li > span")) return false;
  if (one.matches(".visually-hidden, .skip") || (one.matches("input") && one.closest("label"))) return false;
  if (one.matches("label") && !one.querySelector("input, select")) return false;
  return width < 24 || height < 24;
}).map((one) => `${one.outerHTML.slice(0, 120)} ${one.getBoundingClientRect().width}x${one.getBoundingClientRect().height}`)"""
# Whether what has the focus is covered, all of it, by something else (a sticky bar).
COVERED = """() => {
  const one = document.activeElement;
  if (one === document.body || one.closest("dialog")) return "";
  const target = one.matches(".visually-hidden") ? one.closest("label") : one;
  const { left, right, top, bottom } = target.getBoundingClientRect();
  const middle = [(left + right) / 2, (top + bottom) / 2];
  const corners = [left + 3, right - 3].flatMap((x) => [top + 3, bottom - 3].map((y) => [x, y]));
  const seen = [middle, ...corners].some(([x, y]) => {
    const at = document.elementFromPoint(x, y);
    return at && (target.contains(at) || at.contains(target));
  });
  return seen ? "" : one.outerHTML.slice(0, 160);
}"""


@pytest.fixture
def project(db, tmp_path) -> Project:
    project = services.project_create(name="Access", actor=None, guidelines="Look it up.\n\n- [here](https://x.example)")
    Project.objects.filter(pk=project.pk).update(asks_spans=True)
    talk = [{"role": ("user", "assistant")[n % 2], "content": f"Message {n}"} for n in range(9)]
    lines = [
        {"prompt": talk, "answer": LONG, "gold_answer": "Gold", "metadata": {"confidence_score": 0.7}},
        {"prompt": "A short question?", "answer": CODE},
        {"prompt": "Another?", "answer": "Yes."},
    ]
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    services.item_import(project=project, path=path, actor=None)
    for position, line in enumerate(lines):  # in this order
        Item.objects.filter(answer=line["answer"]).update(position=position)
    return project


def looked_at(page: Page, state: str) -> None:
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.wait_for_timeout(350)  # colours move over
            assert not serious_findings(page), f"{state}, {width}, {theme}"
        assert not page.evaluate(SMALL), f"{state}, {width}: targets"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"{state}, {width}: too wide"
    page.set_viewport_size({"width": 1440, "height": 844})
    page.emulate_media(color_scheme="light")


@pytest.mark.full
def test_every_state_of_the_desk(page: Page, sign_in, project, console) -> None:
    console.allow("422")
    user = sign_in("annotator")
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))
    looked_at(page, "folded")
    page.keyboard.press("l")
    page.keyboard.press("o")
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    looked_at(page, "unfolded, gold answer and flag open")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("Choose an overall score")
    looked_at(page, "refused")
    page.keyboard.press("m")
    for key in ("ArrowRight", "c", "ArrowDown", "f"):
        page.keyboard.press(key)
    expect(page.locator(".marks li")).to_have_count(2)
    looked_at(page, "marking")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    looked_at(page, "keys")
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    page.keyboard.press("q")
    looked_at(page, "a dimension aimed at")
    page.keyboard.press("Enter")
    expect(page.locator(".tablescroll")).to_be_visible()
    looked_at(page, "code, table and formula that scroll")
    assert page.locator(".formula[tabindex='0']").count() >= 1
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.keyboard.press("s")
    expect(page.locator("#all-done")).to_be_visible()
    looked_at(page, "nothing left")
    page.goto("/score/mine/")
    expect(page.locator(".own > li")).to_have_count(2)
    looked_at(page, "my scores")
    page.goto(f"/score/items/{user.rater.scores.first().item_id}/")
    looked_at(page, "change")
    page.goto("/account/keys/")
    looked_at(page, "page of keys")


@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.full), 390])
def test_what_has_the_focus_is_never_covered(page: Page, sign_in, project, width) -> None:
    sign_in("annotator")
    page.set_viewport_size({"width": width, "height": 760})
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))
    page.keyboard.press("l")
    page.keyboard.press("m")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    expect(page.locator(".scoring__saved")).to_have_text("Draft saved.")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    stops = []
    for direction in ("Tab", "Shift+Tab"):
        for _ in range(120):
            page.keyboard.press(direction)
            covered = page.evaluate(COVERED)
            assert not covered, f"{direction}: {covered}"
            stops.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
    assert len(set(stops)) > 25


def test_a_screen_reader_is_told_what_is_what(page: Page, sign_in, project) -> None:
    sign_in("annotator")
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))
    first = page.locator("#desk").get_attribute("data-shown")
    form = page.get_by_role("form", name=f"Item {first}")
    expect(form.get_by_role("group", name="Overall", exact=True)).to_be_visible()
    expect(form.get_by_role("radio", name=re.compile("Correct and honest"))).to_have_count(1)
    expect(form.get_by_role("group", name=re.compile("^Calibration: "))).to_be_visible()
    for name in ("Submit", "Skip", "Mark words", "Show all"):
        expect(form.get_by_role("button", name=name, exact=True)).to_be_visible()
    expect(form.get_by_role("textbox", name="Critique (optional)")).to_be_visible()
    page.keyboard.press("m")
    expect(form.get_by_role("textbox", name="The answer as plain text, for marking")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("h")
    expect(form.get_by_role("button", name="Remove the mark Hedge: “A”")).to_be_visible()
    page.keyboard.press("Escape")
    # The focus goes along to the next item, whose name is read.
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.locator("#desk")).not_to_have_attribute("data-shown", first or "")
    assert page.evaluate("document.activeElement.matches('.scoring__item')")
