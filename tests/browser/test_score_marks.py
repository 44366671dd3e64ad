"""Marking words of the answer, by keyboard and by mouse, in offsets that the site understands."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from annotations import services
from annotations.models import Draft, Item, Project, Score
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ANSWER = "👩‍🚀 Ann 😀 flew in 1961, I think. The *log* says so.\n\nNobody disputes <b>that</b>."


@pytest.fixture
def project(db, tmp_path) -> Project:
    project = services.project_create(name="Flights", actor=None)
    Project.objects.filter(pk=project.pk).update(asks_spans=True)
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"Who flew, {n}?", "answer": ANSWER}) for n in range(4)))
    services.item_import(project=project, path=path, actor=None)
    return project


def start(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def marked() -> list[tuple[str, str]]:
    """The words of the only score's marks, cut out as Python counts, and their labels."""
    score = Score.objects.get(withdrawn_at=None)
    return [(score.item.answer[span["start"] : span["end"]], span["label"]) for span in score.spans]


def test_words_and_sentences_are_marked_by_keyboard_alone(page: Page, sign_in, project, shot) -> None:
    sign_in("annotator")
    start(page, project)
    press(page, "m")
    expect(page.locator(".marking__text")).to_be_focused()
    press(page, "Home", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "c")  # 👩‍🚀, Ann, 😀, flew
    expect(page.locator(".marking__said")).to_have_text("Marked as Claim: “😀 flew”")
    press(page, "ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "h")  # in, 1961, I, think
    press(page, "ArrowDown", "f")  # from a word to its sentence
    press(page, "ArrowDown", "Shift+ArrowDown", "e")
    press(page, "c", "Backspace")
    expect(page.locator(".marks li")).to_have_count(4)
    expect(page.locator(".marking__text .mark--claim")).to_have_attribute("data-sign", "C")
    assert not serious_findings(page)
    shot(page, "score-marking")
    press(page, "Escape", "2", "Enter")
    expect(page.locator('[data-progress="mine"]')).to_have_text("1")
    assert marked() == [
        ("👩‍🚀 Ann 😀 flew in 1961, I think.", "fabrication"),
        ("😀 flew", "claim"),
        ("I think", "hedge"),
        ("The *log* says so.\n\nNobody disputes <b>that</b>.", "evidence"),
    ]


def test_what_is_selected_with_the_mouse_is_marked_with_a_button(page: Page, sign_in, project) -> None:
    sign_in("annotator")
    start(page, project)
    page.click("[data-marking-open]")
    page.evaluate(
        """() => {
          const text = document.querySelector(".marking__text").firstChild;
          const start = text.data.indexOf(" flew"), end = text.data.indexOf(" I think");
          getSelection().setBaseAndExtent(text, start, text, end);
        }"""
    )
    page.click("[data-label=claim]")
    expect(page.locator(".marks li q")).to_have_text("flew in 1961,")
    page.dblclick(".marking__text .mark", position={"x": 12, "y": 10})
    page.click("[data-label=hedge]")
    expect(page.locator(".marks li")).to_have_count(2)
    page.click(".marks li:first-child button")
    expect(page.locator(".marks li q")).to_have_text("flew")
    expect(page.locator(".marks li button")).to_be_focused()
    page.click("[data-marking-open]")
    expect(page.locator("[data-rendered-answer]")).to_be_visible()
    press(page, "4", "Enter")
    expect(page.locator('[data-progress="mine"]')).to_have_text("1")
    assert marked() == [("flew", "hedge")]


def test_marks_survive_a_reload_another_browser_and_an_undo(page: Page, sign_in, project) -> None:
    sign_in("annotator")
    start(page, project)
    press(page, "m", "ArrowRight", "ArrowRight", "c")
    page.reload()
    expect(page.locator(".marks li q")).to_have_text("Ann")
    press(page, "m", "End", "e")
    expect(page.locator(".scoring__saved")).to_have_text("Draft saved.")
    page.evaluate("localStorage.clear()")
    start(page, project)
    expect(page.locator(".marks li q")).to_have_text(["Ann", "b"])
    assert len(Draft.objects.get().data["spans"]) == 2
    before = page.locator("#desk").get_attribute("data-shown") or ""
    press(page, "5", "Enter")
    expect(page.locator("#desk")).not_to_have_attribute("data-shown", before)
    press(page, "u")
    expect(page.locator("#desk")).to_have_attribute("data-shown", before)
    expect(page.locator(".marks li q")).to_have_text(["Ann", "b"])


def test_marks_are_shown_with_the_score_as_text_and_never_as_html(page: Page, sign_in, project) -> None:
    user = sign_in("annotator")
    item = Item.objects.first()
    begin = item.answer.index("<b>")
    spans = [{"start": begin, "end": begin + 6, "label": "claim"}, {"start": begin + 3, "end": begin + 11, "label": "evidence"}]
    from uuid import uuid4

    services.score_submit(item=item, actor=user, submission=uuid4(), overall=1, spans=spans)
    page.goto(f"/items/{item.pk}/")
    assert page.locator(".marked__text mark").all_inner_texts() == ["<b>", "tha", "t</b>"]
    assert page.locator(".marked .marks q").all_inner_texts() == ["<b>tha", "that</b>"]
    assert not serious_findings(page)


def test_where_no_marks_are_asked_for_there_are_none(page: Page, sign_in, project) -> None:
    Project.objects.update(asks_spans=False)
    sign_in("annotator")
    start(page, project)
    press(page, "m")
    assert page.locator(".marking").count() == 0
