"""How items read at the desk: long conversations and answers, formulas, code; and that no text of theirs acts."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from annotations import services
from annotations.models import Item, Project
from tests.annotations.test_rendering import HOSTILE
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

RICH = """The mean is $\\bar{x} = \\frac{1}{n}\\sum_{i=1}^n x_i$, and it costs $5 to $10.

$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$

| n | value |
|---|---|
| 1 | $\\sqrt{2}$ |

```python
def mean(values: list[float]) -> float:
    # the arithmetic mean
    return sum(values) / len(values)
```

Wrong: $\\nosuch{1}$."""


@pytest.fixture
def project(db) -> Project:
    return services.project_create(name="Texts", actor=None)


def fill(project: Project, tmp_path, prompt, answer: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"prompt": prompt, "answer": answer}))
    services.item_import(project=project, path=path, actor=None)


def opened(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-shown", re.compile(r"\d+"))


def test_formulas_tables_and_code_are_set(page: Page, sign_in, project, tmp_path, shot) -> None:
    sign_in("annotator")
    fill(project, tmp_path, "What is the **mean**?", RICH)
    opened(page, project)
    assert page.locator(".prose--answer math").count() == 3
    box = page.locator(".formula math").bounding_box()
    assert box is not None and box["height"] > 20  # drawn as a formula, not as a line of letters
    expect(page.locator(".formula__source")).to_have_text("$\\nosuch{1}$")
    expect(page.locator(".hl-k").first).to_have_text("def")
    assert not serious_findings(page)
    shot(page, "score-rich")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(400)  # colours move over
    assert not serious_findings(page)


def test_a_long_conversation_is_folded_and_one_key_opens_it(page: Page, sign_in, project, tmp_path, shot) -> None:
    sign_in("annotator")
    roles = ("user", "assistant")
    talk = [{"role": roles[n % 2], "content": f"Message {n} " + "word " * 30} for n in range(12)]
    talk.append({"role": "user", "content": "And?"})
    fill(project, tmp_path, talk, "A paragraph of the answer.\n\n" * 120 + "The end, with [a link](https://x.example).")
    opened(page, project)
    expect(page.locator(".turns__earlier summary")).to_have_text("10 earlier messages")
    expect(page.locator(".turns__one:visible")).to_have_count(3)
    button = page.locator(".prose--answer + .fold__button")
    expect(button).to_have_attribute("aria-expanded", "false")
    assert not serious_findings(page)
    shot(page, "score-long")
    page.keyboard.press("l")
    expect(page.locator(".turns__one:visible")).to_have_count(13)
    expect(button).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("End")
    expect(page.locator("text=And?")).to_be_in_viewport()  # the question stays while one reads the answer's end
    page.keyboard.press("l")
    expect(button).to_have_attribute("aria-expanded", "false")
    # The keyboard reaches the button, and what gets the focus is shown.
    page.locator(".prose--answer a").focus()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".prose--answer a")).to_be_in_viewport()
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "false")


def test_hostile_texts_do_nothing(page: Page, sign_in, project, tmp_path) -> None:
    """Any script or style that acted would be reported by the page's policy, and fail this test (see conftest)."""
    sign_in("annotator")
    everything = "\n\n".join(text.replace("alert(1)", "window.hacked=1") for text in HOSTILE)
    fill(project, tmp_path, [{"role": "user", "content": everything}, {"role": "user", "content": everything}], everything)
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url))
    opened(page, project)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hacked === undefined")
    assert not [url for url in calls if "elsewhere.example" in url]
    page.goto(f"/items/{Item.objects.get().pk}/")
    smuggled = "main script:not([type='application/json']), main svg, main img"
    assert page.evaluate("window.hacked === undefined") and page.locator(smuggled).count() == 0
