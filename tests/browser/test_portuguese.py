"""Scoring in Portuguese: nothing of the site's own is left in English, and the longer words still fit."""

import json
import re
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from annotations import services
from annotations.models import Item, Project, Score
from annotations.rubric import load_rubric
from annotations.services.gold_items import gold_set
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ANSWER = "A capital é **Vila {n}**.\n\nTem cerca de 40 mil habitantes, mas não tenho certeza. Toda a gente lá fala português."
CATALOGUE = Path(settings.BASE_DIR) / "locale/pt/LC_MESSAGES/django.po"
# Words that no Portuguese sentence has.
ENGLISH = re.compile(
    r"\b(the|and|of|is|are|you|your|with|this|that|has|have|not|it|to|what|which|nothing|others|scores?)\b", re.I
)
# What a person reads, or is read to them: each text that is shown, and names and hints in attributes.
SHOWN = """() => {
  const found = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const parent = node.parentElement;
    if (parent.closest("script, style, [lang=en]:not(html), template") || !parent.checkVisibility()) continue;
    if (node.data.trim()) found.push(node.data.trim().replace(/\\s+/g, " "));
  }
  for (const one of document.querySelectorAll("[aria-label], [title], [placeholder]")) {
    for (const name of ["aria-label", "title", "placeholder"]) if (one.getAttribute(name)) found.push(one.getAttribute(name));
  }
  return found;
}"""
# A tag, or what is put in, cuts a message in pieces.
CUT = re.compile(r"<[^>]*>|%\(\w+\)[sdg]|%[sd]|\{\w+\}")


@cache
def english() -> list[str]:
    """The longer pieces of all messages whose translation is another, and the words of the rubric."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="pt")
    pieces = set()
    for message in catalogue:
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for original in ids if message.id else ():
            pieces |= {piece.strip() for piece in CUT.split(original) if len(piece.strip()) > 12 and original not in strings}
    rubric = load_rubric()
    words = [rubric.title, rubric.summary]
    words += [word for step in rubric.scale for word in (step.label, step.scenario)]
    words += [word for dimension in rubric.dimensions for word in (dimension.label, dimension.question)]
    return sorted(pieces | set(words))


def left_in_english(page: Page) -> list[str]:
    shown = page.evaluate(SHOWN)
    return sorted({text for text in shown if ENGLISH.search(text) or any(piece in text for piece in english())})


def looked_at(page: Page, state: str) -> None:
    assert page.locator("html").get_attribute("lang") == "pt"
    assert not left_in_english(page), state
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"{state}: too wide at {width}"
    assert not serious_findings(page), state


@pytest.fixture
def person(sign_in) -> User:
    person = sign_in("annotator")
    person.language = "pt"
    person.save()
    return person


@pytest.fixture
def make(db, tmp_path):
    """A project with so many prompts and answers to each."""

    def _make(name: str, prompts: int = 3, answers: int = 1, **fields) -> Project:
        project = services.project_create(name=name, actor=None, guidelines="Procurar antes de pontuar.", **fields)
        lines = [
            {"prompt": f"Qual é a capital do país {n}?", "answer": ANSWER.format(n=n) + "!" * which, "gold_answer": f"Vila {n}",
             "metadata": {"confidence_score": 0.7}}
            for n in range(prompts) for which in range(answers)
        ]  # fmt: skip
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        services.item_import(project=project, path=path, actor=None)
        return Project.objects.get(pk=project.pk)

    return _make


def start(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ready", "")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def sheet_looked_at(page: Page) -> None:
    press(page, "?")
    looked_at(page, "keys' sheet")
    press(page, "Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_rule_finds_english() -> None:
    assert len(english()) > 300
    assert ENGLISH.search("What is wrong") and not ENGLISH.search("Pontuar o próximo item que não tem a sua pontuação")


def test_one_item_is_scored_and_undone_in_portuguese(page: Page, person, make, console, shot) -> None:
    console.allow("422")
    project = make("Capitais", asks_spans=True)
    start(page, project)
    expect(page.locator("[data-progress=mine] + span")).to_have_text("por si")
    looked_at(page, "desk")
    shot(page, "pt-score")
    press(page, "o", "f", "Escape")
    press(page, "Enter")
    expect(page.locator("#notices")).to_contain_text("Escolher primeiro uma pontuação geral")
    looked_at(page, "without a score")
    press(page, "m", "ArrowRight", "c", "ArrowDown", "f")
    expect(page.locator(".marks li")).to_have_count(2)
    looked_at(page, "marking")
    shot(page, "pt-score-marking")
    press(page, "Escape")
    sheet_looked_at(page)
    press(page, "4", "c")
    page.keyboard.type("Quase certa.")
    expect(page.locator(".scoring__saved")).to_have_text("Rascunho guardado.")
    press(page, "Control+Enter")
    expect(page.locator("[data-progress=mine]")).to_have_text("1")
    press(page, "u")
    expect(page.locator("#notices")).to_contain_text("Anulado: aqui está de novo")
    expect(page.locator("textarea[name=critique]")).to_have_value("Quase certa.")
    looked_at(page, "undone")
    # Somebody deletes the item meanwhile: the site itself refuses.
    item = Score.objects.get().item
    Item.every.filter(pk=item.pk).update(deleted_at=timezone.now())
    press(page, "Enter")
    expect(page.locator("#notices")).to_contain_text("Este item foi entretanto eliminado.")
    looked_at(page, "refused by the site")
    press(page, "s", "s", "s")
    expect(page.locator("#all-done")).to_be_visible()
    looked_at(page, "nothing left")


@pytest.mark.full
def test_answers_are_compared_in_portuguese(page: Page, person, make, shot) -> None:
    project = make("Comparar", answers=3, mode="compare", candidates_shown=3)
    start(page, project)
    looked_at(page, "compare")
    press(page, "Enter")
    expect(page.locator("#notices")).to_contain_text("Ordenar primeiro as respostas")
    press(page, "2", "1", "t")
    looked_at(page, "an order begun")
    shot(page, "pt-compare")
    sheet_looked_at(page)
    press(page, "Enter")
    expect(page.locator("[data-progress=mine]")).to_have_text("1")
    press(page, "u")
    expect(page.locator("#notices")).to_contain_text("Anulado")
    page.goto("/score/mine/")
    looked_at(page, "my scores, none")
    two = make("Duas", answers=2, mode="compare", candidates_shown=2)
    start(page, two)
    press(page, "ArrowLeft")
    looked_at(page, "two answers")


@pytest.mark.full
def test_an_answer_is_reviewed_in_portuguese(page: Page, person, sign_in, make, shot) -> None:
    project = make("Rever", prompts=1, mode="review", review_rounds=2, asks_spans=True)
    start(page, project)
    press(page, "2", "a", "Control+End")
    looked_at(page, "review, nothing changed")
    page.keyboard.type(" Acho eu.")
    expect(page.locator(".revision__difference ins")).to_contain_text("Acho")
    looked_at(page, "review")
    shot(page, "pt-review")
    press(page, "Escape")
    sheet_looked_at(page)
    press(page, "Enter")
    expect(page.locator("[data-progress=mine]")).to_have_text("1")
    looked_at(page, "nothing left")
    other = User.objects.create_user("outra", role="annotator", language="pt")
    sign_in(user=other)
    start(page, project)
    page.locator(".rounds summary").click()
    expect(page.locator(".rounds__list li")).to_have_count(1)
    looked_at(page, "earlier rounds")
    page.goto(f"/score/items/{Item.objects.get(iteration=1).pk}/rounds/")
    looked_at(page, "page of rounds")


@pytest.mark.full
def test_the_other_pages_of_an_annotator_in_portuguese(page: Page, person, make, shot, console) -> None:
    console.allow("403|404|422")
    project = make("Capitais", asks_spans=True)
    items = list(Item.objects.order_by("pk"))
    marks = [{"start": 0, "end": 9, "label": "claim"}]
    for overall, item in enumerate(items[:2]):
        services.score_submit(
            item=item, actor=person, submission=uuid4(), overall=overall, critique="Bem.", spans=marks, seconds=30,
            dimensions={"calibration": 1},
        )  # fmt: skip
    services.score_submit(item=items[0], actor=person, submission=uuid4(), overall=-1)
    services.item_flag(item=items[2], actor=person, reason="unclear", note="Sem sentido.")
    pages = {
        "home": "/",
        "items": "/items/",
        "items-asked": f"/items/?project={project.slug}&state=mine&score_min=0&sort=score-high&confidence_min=0.2&since=7d",
        "items-refused": "/items/?state=gold&score_min=9&since=nunca&q=abacate",
        "items-assigned": "/items/?state=assigned",
        "item": f"/items/{items[0].pk}/",
        "item-flagged": f"/items/{items[2].pk}/",
        "projects": "/items/projects/",
        "mine": "/score/mine/",
        "change": f"/score/items/{items[0].pk}/",
        "nothing": f"/score/in/{project.slug}/",
        "keys": "/account/keys/",
        "password": "/account/password/",
        "tokens": "/account/tokens/",
        "403": "/train/",
        "404": "/nada/",
    }
    for name, address in pages.items():
        page.goto(address)
        if page.locator("details.items__further").count():
            page.locator("details.items__further > summary").click()
        looked_at(page, name)
        shot(page, f"pt-{name}")
    page.goto("/items/")
    page.locator(".sidenav details.menu > summary").click()
    looked_at(page, "menu")
    page.goto("/account/tokens/")
    page.fill("#id_name", "Importar")
    page.click("main form .btn--primary")
    expect(page.locator("#secret")).to_be_visible()
    looked_at(page, "a new token")
    page.goto("/account/keys/")
    page.fill("#key-skip", "5")
    page.click("#keyform .btn--primary")
    looked_at(page, "keys that clash")
    shot(page, "pt-keys-clash")


@pytest.mark.full
def test_first_items_come_with_feedback_in_portuguese(page: Page, person, make, shot) -> None:
    project = make("Começo", prompts=4, qualification_items=2)
    for item, score in zip(Item.objects.order_by("pk")[:2], (1, -1), strict=True):
        gold_set(item=item, score=score, note="Porque sim.", qualification=True, actor=None)
    start(page, project)
    press(page, "4", "Enter")
    expect(page.locator("#feedback")).to_be_visible()
    looked_at(page, "feedback")
    shot(page, "pt-feedback")
    press(page, "Enter")
    page.goto(f"/score/in/{project.slug}/qualification/")
    looked_at(page, "qualification begun")
    start(page, project)
    press(page, "1", "Enter")
    expect(page.locator("#feedback")).to_be_visible()
    looked_at(page, "last feedback")
    page.goto(f"/score/in/{project.slug}/qualification/")
    looked_at(page, "qualification")
    shot(page, "pt-qualification")


def test_strangers_log_in_in_portuguese(page: Page, live_server, console) -> None:
    page.context.add_cookies([{"name": settings.LANGUAGE_COOKIE_NAME, "value": "pt", "url": live_server.url}])
    page.goto("/account/login/")
    looked_at(page, "log-in")
    page.fill("#id_username", "ninguem")
    page.fill("#id_password", "errada")
    page.click("main form .btn--primary")
    expect(page.locator("[role=alert]")).to_contain_text("não combinam")
    looked_at(page, "wrong password")
