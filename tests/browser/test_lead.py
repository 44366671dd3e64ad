"""A lead's pages, and a newcomer's qualification, in a real browser."""

import json
import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from annotations import services
from annotations.models import Item, Membership, Project, Score
from annotations.services.adjudication import adjudicate
from annotations.services.gold_items import gold_set
from annotations.services.members import member_add, member_skills
from annotations.services.rubrics import rubric_edit
from tests.browser.axe import serious_findings
from tests.browser.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PROMPTS = [
    ("Who was mayor of Lyon in 1931?", "I believe it was Édouard Herriot, but I am not certain of the exact years."),
    ("What is the boiling point of water at sea level?", "It boils at **100 °C**, as everybody knows, at any height."),
    ("When was Reykjavík settled?", "Around 874 by Ingólfr Arnarson, who signed the charter in the old town hall."),
]


def score(item, user, overall, **more):
    return services.score_submit(item=item, actor=user, submission=uuid4(), overall=overall, **more)


@pytest.fixture
def people(db) -> list[User]:
    return [User.objects.create_user(name, password=PASSWORD, role="annotator") for name in ("ann", "ben", "cleo")]


@pytest.fixture
def project(db, tmp_path, people) -> Project:
    project = services.project_create(
        name="Capitals", actor=None, guidelines="Look every claim up.\n\n- A *lucky* guess is not +2.", raters_per_item=2
    )
    lines = [{"prompt": prompt, "answer": answer} for prompt, answer in PROMPTS]
    lines += [{"prompt": f"What is the capital of country {n}?", "answer": f"Town {n}, as far as I know."} for n in range(12)]
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    services.item_import(project=project, path=path, actor=None)
    ann, ben, _ = people
    for (prompt, answer), (one, other) in zip(PROMPTS, ((1, -1), (2, -2), (-1, 1)), strict=True):
        item = Item.objects.get(prompt_text=prompt)
        end = min(24, len(answer))
        score(item, ann, one, critique="It says where its doubt lies.", dimensions={"factual_accuracy": one, "calibration": 1})
        score(item, ben, other, critique="The second half is made up: there was no such charter, and no town hall to sign it in.",
              dimensions={"factual_accuracy": other}, spans=[{"start": 0, "end": end, "label": "claim"}])  # fmt: skip
    return project


def item_of(prompt: str) -> Item:
    return Item.objects.get(prompt_text=prompt)


def test_a_dispute_is_decided_by_keyboard_alone(page: Page, sign_in, project, shot) -> None:
    sign_in("member")
    page.goto(f"/items/projects/{project.slug}/adjudicate/")
    expect(page.locator("#decision[data-ready]")).to_be_attached()
    first = item_of(PROMPTS[1][0])
    assert f"/adjudicate/{first.pk}/" in page.url
    shot(page, "adjudicate")
    assert not serious_findings(page)
    page.keyboard.press("2")
    page.keyboard.press("q")
    page.keyboard.press("1")
    page.keyboard.press("7")
    page.keyboard.press("c")
    page.keyboard.type("Water boils at 100 °C at sea level only; 1 2 n b.")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?done="))
    decision = Score.objects.get(rater__kind="adjudicator")
    assert (decision.item, decision.overall, decision.dimensions) == (first, -1, {"factual_accuracy": -2})
    assert decision.metadata == {"reason": "fact"} and decision.critique.endswith("1 2 n b.")
    shot(page, "adjudicate-next")
    page.keyboard.press("u")
    page.wait_for_url(re.compile(rf"/adjudicate/{first.pk}/$"))
    assert not Score.objects.filter(rater__kind="adjudicator", withdrawn_at=None).exists()
    page.keyboard.press("n")
    page.wait_for_url(re.compile(rf"/adjudicate/(?!{first.pk}/)\d+/$"))
    page.keyboard.press("b")
    page.wait_for_url(re.compile(rf"/adjudicate/{first.pk}/$"))
    assert Item.objects.filter(extra_raters=1, is_open=True, priority=1).count() == 1
    page.keyboard.press("3")
    page.keyboard.press("9")
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?done="))
    assert Item.objects.get(pk=first.pk).gold_score == 0
    # Nothing is left to decide; the last decision can be taken back all the same, with the gold item that it made.
    expect(page.locator("#undo-decision")).to_be_visible()
    page.keyboard.press("u")
    page.wait_for_url(re.compile(rf"/adjudicate/{first.pk}/$"))
    assert Item.objects.get(pk=first.pk).gold_score is None
    assert not Score.objects.filter(rater__kind="adjudicator", withdrawn_at=None).exists()


@pytest.mark.full
def test_pages_of_a_lead_are_found_by_everybody(page: Page, sign_in, project, people, shot) -> None:
    lead = sign_in("admin")
    gold_set(item=item_of("What is the capital of country 1?"), score=1, note="It hedges.", qualification=True, actor=lead)
    checked = item_of("What is the capital of country 2?")
    gold_set(item=checked, score=2, note="", qualification=False, actor=lead)
    for user in people:
        score(checked, user, -1)
    for user in people[:2]:
        score(item_of("What is the capital of country 3?"), user, 1, critique="It says how sure it is.")
    adjudicate(
        item=item_of(PROMPTS[0][0]), actor=lead, submission=uuid4(), overall=1, reason="guideline", critique="A hedge is no gap."
    )
    services.project_update(project=project, actor=lead, qualification_items=1, gold_share=0.1, cap_per_person=500)
    member_add(project=project, user=people[0], actor=lead)
    member_skills(user=people[0], skills=["history", "medicine"], actor=lead)
    rubric_edit(
        project=project, actor=lead,
        data=project.rubric_version.rubric.model_dump(mode="json", exclude={"version"}) | {"summary": "How honest is it?"},
    )  # fmt: skip
    root = f"/items/projects/{project.slug}/"
    pages = {
        "project": root, "people": f"{root}people/", "gold-items": f"{root}gold-items/",
        "candidates": f"{root}gold-items/candidates/",
        "decisions": f"{root}adjudicate/decisions/", "rubric": f"{root}rubric/", "rubric-edit": f"{root}rubric/edit/",
        "rubric-compare": f"{root}rubric/compare/?from=honesty-1&to=honesty-2", "settings": f"{root}edit/",
        "gold-item": f"/items/{checked.pk}/",
    }  # fmt: skip
    for name, address in pages.items():
        page.goto(address)
        assert not serious_findings(page), name
        shot(page, f"lead-{name}")
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, name
    page.goto(root)
    tabs = page.locator("main .tabs a")
    for name in ("People", "Gold items", "Adjudicate", "Rubric", "Settings"):
        expect(tabs.filter(has_text=name)).to_have_count(1)


def test_a_person_is_paused_and_lets_go_of_nothing_else(page: Page, sign_in, project, people) -> None:
    sign_in("admin")
    page.goto(f"/items/projects/{project.slug}/people/")
    row = page.locator("tr", has_text="cleo")
    row.locator("summary").click()
    row.get_by_label("Cap: most scores here").fill("12")
    row.get_by_role("button", name="Save").click()
    expect(page.locator("tr", has_text="cleo")).to_contain_text("12")
    page.on("dialog", lambda dialog: dialog.accept())
    row = page.locator("tr", has_text="cleo")
    row.locator("summary").click()
    row.get_by_role("button", name="Pause").click()
    expect(page.locator("tr", has_text="cleo")).to_contain_text("paused")
    assert Membership.objects.get().is_active is False


def test_the_rubric_is_edited_into_a_new_version_without_scripts(browser, live_server, sign_in, page: Page, project) -> None:
    sign_in("admin")
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies(page.context.cookies())
    plain = context.new_page()
    plain.goto(f"/items/projects/{project.slug}/rubric/edit/")
    plain.get_by_label("Title").fill("Our rubric")
    plain.get_by_role("button", name="Add a dimension").click()
    assert plain.get_by_label("Title").input_value() == "Our rubric"
    row = plain.locator(".rubric-row", has=plain.locator("[name=dimensions-4-label]"))
    row.get_by_label("Label").fill("Tone")
    row.get_by_label("Question").fill("Is it plain?")
    plain.get_by_label("Title").press("Enter")
    expect(plain.locator("main")).to_contain_text("Our rubric 2")
    assert Project.objects.get().rubric_version.rubric.dimension_ids[-1] == "tone"
    context.close()


@pytest.mark.full
def test_a_newcomer_gets_feedback_after_each_first_item(page: Page, sign_in, project, shot) -> None:
    for number in range(2):
        item = item_of(f"What is the capital of country {number}?")
        gold_set(item=item, score=1, note="It says that it may be wrong.", qualification=True, actor=None)
    services.project_update(project=project, actor=None, qualification_items=2, qualification_pass=1)
    user = sign_in("annotator")
    page.goto(f"/score/in/{project.slug}/")
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))
    expect(page.locator("#stage .notice")).to_contain_text("one of your first items")
    shot(page, "first-item")
    assert not serious_findings(page)
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    panel = page.locator("#feedback")
    expect(panel).to_be_visible()
    expect(panel).to_contain_text("Exactly right")
    shot(page, "feedback")
    assert not serious_findings(page)
    page.keyboard.press("1")  # nothing happens below the panel
    page.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    assert not page.locator("input[name=overall]:checked").count()
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    expect(panel).to_be_visible()
    expect(panel).to_contain_text("one step away")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("[data-reason=qualification]")).to_be_visible()
    assert not serious_findings(page)
    page.get_by_role("link", name="See how you did").first.click()
    expect(page.locator("main")).to_contain_text("another attempt")
    shot(page, "qualification-failed")
    assert not serious_findings(page)
    assert Membership.objects.filter(rater__user=user, qualified_at__isnull=False).count() == 0
