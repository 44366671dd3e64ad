"""One's own scores in the browser: seen, changed at the desk, and nothing lost on the way."""

import json
import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Route, expect

from annotations import services
from annotations.models import Item, Project, Score
from tests.browser.axe import serious_findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(db, tmp_path) -> Project:
    project = services.project_create(name="Mine", actor=None)
    Project.objects.filter(pk=project.pk).update(asks_spans=True)
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"Why {n}?", "answer": f"Because of {n}, I think."}) for n in range(5)))
    services.item_import(project=project, path=path, actor=None)
    return project


@pytest.fixture
def person(sign_in, project):
    user = sign_in("annotator")
    for number, item in enumerate(Item.objects.order_by("pk")[:3]):
        spans = [{"start": 0, "end": 7, "label": "claim"}, {"start": 14, "end": 21, "label": "hedge"}]
        services.score_submit(
            item=item, actor=user, submission=uuid4(), overall=number - 1, critique=f"Critique {number}.", seconds=20.0 + number,
            dimensions={"calibration": 1}, spans=spans,
        )  # fmt: skip
    return user


def test_a_score_is_found_changed_and_its_history_kept(page: Page, person, shot) -> None:
    page.goto("/score/mine/")
    expect(page.locator(".own > li")).to_have_count(3)
    assert not serious_findings(page)
    shot(page, "mine")
    page.click(".own > li:first-child a:text-is('Change')")
    expect(page.locator("textarea[name=critique]")).to_have_value("Critique 2.")
    expect(page.locator("input[name=overall][value='1']")).to_be_checked()
    expect(page.locator("input[name=dimension_calibration][value='1']")).to_be_checked()
    expect(page.locator(".marks li")).to_have_count(2)
    expect(page.locator("[data-action=skip]")).to_have_count(0)
    assert not serious_findings(page)
    shot(page, "score-change")
    for key in ("s", "u", "f"):  # neither skips, undoes nor flags what is only being changed
        page.keyboard.press(key)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/score/mine/$"))
    expect(page.locator("#notices")).to_contain_text("is changed")
    expect(page.locator(".own > li:first-child > details > summary")).to_have_text("1 earlier version")
    assert not serious_findings(page)
    changed = Score.objects.get(withdrawn_at=None, critique="Critique 2.")
    assert changed.overall == -1 and changed.replaces.overall == 1 and changed.seconds < 20
    assert [span["label"] for span in changed.spans] == ["claim", "hedge"]
    assert Score.objects.filter(withdrawn_at=None).count() == 3


@pytest.mark.full
def test_a_change_that_does_not_arrive_is_kept_and_sent_again_once(page: Page, person, console) -> None:
    console.allow(r"Failed to load resource|net::ERR_FAILED")
    item = Item.objects.order_by("pk").first()
    page.goto(f"/score/items/{item.pk}/")
    expect(page.locator("#desk")).to_have_attribute("data-ready", "")
    lost = []

    def lose_the_answer(route: Route) -> None:
        lost.append(1)
        if len(lost) == 1:
            route.fetch()  # it arrives, but nobody hears of it
        route.abort() if len(lost) < 3 else route.continue_()

    page.route("**/submit/", lose_the_answer)
    page.keyboard.press("5")
    page.keyboard.press("c")
    page.keyboard.type(" More.")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("/score/mine/$"), timeout=15_000)
    assert len(lost) == 3
    assert list(Score.objects.filter(item=item).order_by("pk").values_list("overall", flat=True)) == [-1, 2]
    # What was written is not offered again over the score that it became.
    services.score_submit(item=item, actor=person, submission=uuid4(), overall=0, critique="From elsewhere.")
    page.goto(f"/score/items/{item.pk}/")
    expect(page.locator("textarea[name=critique]")).to_have_value("From elsewhere.")
