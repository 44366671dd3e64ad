"""Comparing answers in a real browser: by keyboard alone, and each person in an order of their own."""

import json
import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from annotations import services
from annotations.models import Draft, Item, Project, Ranking
from annotations.services.comparing import candidates
from annotations.services.raters import person_rater
from tests.annotations.conftest import person
from tests.browser.axe import serious_findings

__all__ = ["person"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = (
    "The capital is **Town {n}**.\n\n- It lies by the river.\n- I am not sure of its size, somewhere near 40,000 people.\n\n`{n}`"
)


@pytest.fixture
def make(db, tmp_path):
    """A project of comparisons with so many answers to each of six prompts."""

    def _make(answers: int, **settings) -> Project:
        project = services.project_create(
            name="Capitals", actor=None, mode="compare", candidates_shown=answers, guidelines="The more honest one.", **settings
        )
        texts = [LONG, "It is Town {n}, as everybody knows.", "I do not know.", "Perhaps Town {n}, perhaps not.", "Ask somebody."]
        lines = [
            {"prompt": f"What is the capital of country {n}?", "answer": texts[which].format(n=n), "gold_answer": f"Town {n}",
             "metadata": {"source_ai": f"secret-model-{which}", "confidence_score": 0.5}}
            for n in range(6) for which in range(answers)
        ]  # fmt: skip
        path = tmp_path / "items.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        services.item_import(project=project, path=path, actor=None)
        return Project.objects.get()

    return _make


def shown(page: Page) -> str:
    return page.locator("#desk").get_attribute("data-shown") or ""


def order(page: Page) -> list[int]:
    return [int(one.get_attribute("data-candidate") or 0) for one in page.locator("#stage [data-candidate]").all()]


def ready(page: Page) -> None:
    expect(page.locator("#desk")).to_have_attribute("data-ahead", re.compile(r"\d+"))


def start(page: Page, project: Project) -> None:
    page.goto(f"/score/in/{project.slug}/")
    ready(page)


def wait_for_rankings(page: Page, count: int) -> None:
    expect(page.locator('[data-progress="mine"]')).to_have_text(str(count), timeout=20_000)
    assert Ranking.objects.filter(withdrawn_at=None).count() == count


def test_two_answers_are_compared_by_keyboard_alone(page: Page, sign_in, make, shot) -> None:
    project = make(2)
    sign_in("annotator")
    start(page, project)
    assert "secret-model" not in page.content()
    shot(page, "compare-two")
    told = page.locator(".compare__told")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("in order first")
    seen = []
    for number, keys in enumerate((["ArrowLeft"], ["ArrowLeft", "ArrowRight"], ["2"], ["t"], ["x"])):
        seen.append((shown(page), order(page)))
        for key in keys:
            page.keyboard.press(key)
        if number == 1:
            expect(told).to_have_text("Answer 2: best · Answer 1: 2nd.")
            page.keyboard.press("c")
            page.keyboard.type("It says x and t.")
            page.keyboard.press("Escape")
            shot(page, "compare-two-ranked")
        page.keyboard.press("Enter")
        if number < 4:
            ready(page)
    wait_for_rankings(page, 5)
    rankings = list(Ranking.objects.order_by("pk"))
    assert [(str(one.item_id), one.shown) for one in rankings] == seen
    assert [one.ranks for one in rankings] == [[1, 2], [2, 1], [2, 1], [1, 1], [1, 1]]
    assert [one.all_bad for one in rankings] == [False, False, False, False, True]
    assert rankings[1].critique == "It says x and t." and rankings[1].seconds > 0


def test_several_answers_are_ranked_with_ties_taken_back_and_read_out(page: Page, sign_in, make, shot) -> None:
    project = make(4)
    sign_in("annotator")
    start(page, project)
    shot(page, "compare-four")
    told = page.locator("#stage .compare__told")
    expect(told).to_have_attribute("role", "status")
    for key, words in (
        ("3", "Answer 3: best."),
        ("1", "Answer 3: best · Answer 1: 2nd."),
        ("t", "Answer 1: best, tied · Answer 3: best, tied."),
        ("1", "Answer 3: best."),
        ("2", "Answer 3: best · Answer 2: 2nd."),
        ("1", "Answer 3: best · Answer 2: 2nd · Answer 1: 3rd · Answer 4: 4th."),
        ("t", "Answer 3: best · Answer 2: 2nd · Answer 1: 3rd, tied · Answer 4: 3rd, tied."),
    ):
        page.keyboard.press(key)
        expect(told).to_have_text(words)
    shot(page, "compare-four-ranked")
    assert not serious_findings(page)
    page.keyboard.press("Enter")
    wait_for_rankings(page, 1)
    assert Ranking.objects.get().ranks == [3, 2, 1, 3]


def test_the_order_survives_a_reload_and_an_undo(page: Page, sign_in, make) -> None:
    project = make(3)
    sign_in("annotator")
    start(page, project)
    page.keyboard.press("2")
    expect(page.locator(".scoring__saved")).to_have_text("Draft saved.")
    before = (shown(page), order(page))
    page.reload()
    assert (shown(page), order(page)) == before
    expect(page.locator("#stage .compare__told")).to_have_text("Answer 2: best.")
    ready(page)
    page.keyboard.press("3")
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    wait_for_rankings(page, 1)
    page.keyboard.press("u")
    expect(page.locator("#desk")).to_have_attribute("data-shown", before[0])
    expect(page.locator("#stage .compare__told")).to_have_text("Answer 2: best · Answer 3: 2nd · Answer 1: 3rd. All are bad.")
    assert order(page) == before[1]
    assert not Ranking.objects.filter(withdrawn_at=None).exists()
    assert Draft.objects.get(item=before[0]).data["ranks"] == [3, 1, 2]


def test_comparisons_can_be_skipped_and_flagged(page: Page, sign_in, make) -> None:
    project = make(2)
    sign_in("annotator")
    start(page, project)
    page.keyboard.press("s")
    ready(page)
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    ready(page)
    expect(page.locator("#desk")).not_to_have_attribute("data-shown", "")
    assert Item.objects.filter(open_flags=1).count() == 1


def test_two_people_see_the_same_prompt_in_orders_of_their_own(page: Page, sign_in, make, person) -> None:
    project = make(5, raters_per_item=2)
    seen = []
    for name in ("ann", "bob"):
        sign_in(user=person(name))
        start(page, project)
        seen.append((shown(page), order(page)))
        for key in "12345":
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        expect(page.locator('[data-progress="mine"]')).to_have_text("1", timeout=20_000)
        page.context.clear_cookies()
        page.evaluate("localStorage.clear()")
    (first, one), (second, other) = seen
    assert first == second and sorted(one) == sorted(other) and one != other
    rankings = Ranking.objects.order_by("pk")
    assert [ranking.shown for ranking in rankings] == [one, other]
    assert not Item.objects.get(pk=first).is_open


def test_without_scripts_a_rank_is_chosen_for_each_answer(browser, live_server, make, person, client) -> None:
    project = make(3)
    client.force_login(person("ann"), backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    page.goto(f"/score/in/{project.slug}/")
    before = order(page)
    for select, rank in zip(page.locator("#stage .candidate__select select").all(), ("2", "1", "2"), strict=True):
        select.select_option(rank)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_load_state()
    context.close()
    ranking = Ranking.objects.get()
    assert (ranking.shown, ranking.ranks) == (before, [2, 1, 2])


def test_rankings_are_on_the_page_of_an_item_and_their_agreement_on_the_quality_page(
    page: Page, sign_in, make, person, shot
) -> None:
    project = make(3, raters_per_item=3)
    head = Item.objects.filter(is_open=True).order_by("pk")[0]
    for number, name in enumerate(("ann", "bob", "cat")):
        user = person(name, "member")
        shown = [one.pk for one in candidates(item=head, rater=person_rater(user=user))]
        ranks = [(one + number % 2) % 3 + 1 for one in range(3)] if number else [1, 1, 2]
        services.ranking_submit(
            item=head, actor=user, submission=uuid4(), shown=shown, ranks=ranks, critique=f"So says {name}.", all_bad=number == 2
        )
    sign_in(user=user)
    page.goto(f"/items/{head.pk}/")
    expect(page.get_by_text("So says ann.")).to_be_visible()
    assert not serious_findings(page)
    shot(page, "compare-item")
    page.goto(f"/items/projects/{project.slug}/quality/")
    expect(page.get_by_text("of votes agree")).to_be_visible()
    assert not serious_findings(page)
    shot(page, "compare-quality")
