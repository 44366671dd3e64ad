"""The Evaluate pages in a real browser: no console error, every chart drawn, no page wider than a telephone."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from evaluation.comparing import service as comparing
from evaluation.models import Benchmark, Evaluation
from evaluation.services import evaluation_queue
from tests.browser.axe import serious_findings
from tests.evaluation.conftest import BASE_ROWS, benchmark, benchmark_folder, model, scored  # noqa: F401 (fixtures)
from tests.evaluation.samples import atlas_rows
from training.models import Artifact

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Scored = Callable[..., Evaluation]


@pytest.fixture
def three(scored: Scored) -> list[Evaluation]:  # noqa: F811 (a fixture)
    base = scored("atlas-base", BASE_ROWS)
    honest = scored("atlas-grpo", atlas_rows(silent_unknown=0.97, right=0.99, seed=2), base.artifact)
    silent = scored("atlas-flat-reward", atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=3), base.artifact)
    return [base, honest, silent]


def test_lists_scorecards_and_puts_the_ticked_side_by_side(
    page: Page, sign_in: Callable[..., object], three: list[Evaluation], shot: Callable[[Page, str], None]
) -> None:
    sign_in("member")
    page.goto("/evaluate/")
    expect(page.get_by_text("It got honest by falling silent")).to_be_visible()
    shot(page, "evaluate-list")
    for name in ("atlas-base", "atlas-grpo", "atlas-flat-reward"):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare the ticked").click()
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.locator(".chart--failed").count() == 0
    shot(page, "evaluate-compare")
    page.get_by_role("link", name="easy").click()
    expect(page.get_by_text("64 questions")).to_be_visible()


def test_a_comparison_that_takes_long_says_how_far_it_is_and_shows_itself(
    page: Page,
    sign_in: Callable[..., object],
    three: list[Evaluation],
    shot: Callable[[Page, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, whole = Event(), comparing.compare

    def held(*contenders: Any, tell: Any, **how: Any) -> Any:
        tell(2, 3)
        assert gate.wait(60)
        return whole(*contenders, tell=tell, **how)

    monkeypatch.setattr(comparing, "compare", held)
    monkeypatch.setattr(comparing, "SOON_S", 0.1)
    sign_in("member")
    page.goto(f"/evaluate/compare/?ids={','.join(str(one.pk) for one in three)}")
    expect(page.get_by_text("2 of 3 models")).to_be_visible()
    shot(page, "evaluate-compare-underway")
    assert not serious_findings(page)
    gate.set()
    expect(page.locator(".chart .main-svg").first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("being reckoned")).to_have_count(0)


@pytest.mark.full
@pytest.mark.parametrize("count", [2, 6])
def test_a_telephone_shows_every_model_of_a_comparison_and_a_narrow_window_keeps_the_names_of_the_metrics(
    page: Page,
    sign_in: Callable[..., object],
    scored: Scored,  # noqa: F811 (a fixture)
    shot: Callable[[Page, str], None],
    count: int,
) -> None:
    names = [f"atlas-grpo-seed-{seed}" for seed in range(count)]
    cards = [scored(name, atlas_rows(silent_unknown=seed / 6, right=0.97, seed=seed)) for seed, name in enumerate(names)]
    sign_in("member")
    page.goto(f"/evaluate/compare/?ids={','.join(str(one.pk) for one in cards)}")
    shot(page, f"evaluate-compare-{count}")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wider = "all => all.filter(box => box.scrollWidth > box.clientWidth).length"
    assert page.locator(".table-wrap:has(> .table--beside)").evaluate_all(wider) == 0
    metric = page.locator("tr", has=page.get_by_role("rowheader", name="Truthful rate")).first
    for name in names:
        expect(metric.get_by_text(name, exact=True)).to_be_visible()
        box = metric.get_by_text(name, exact=True).bounding_box()
        assert box and box["x"] + box["width"] <= 390
    page.set_viewport_size({"width": 800, "height": 844})
    table = page.locator(".table-wrap", has=page.get_by_role("columnheader", name="Metric"))
    table.evaluate("box => box.scrollLeft = box.scrollWidth")
    box, heading = table.bounding_box(), table.get_by_role("rowheader", name="Truthful rate").bounding_box()
    assert box and heading and heading["x"] >= box["x"]


@pytest.mark.full
def test_a_scorecard_draws_its_charts_and_fits_a_telephone(
    page: Page, sign_in: Callable[..., object], three: list[Evaluation], shot: Callable[[Page, str], None]
) -> None:
    sign_in("member")
    for evaluation, name in zip(three, ("base", "honest", "silent"), strict=True):
        page.goto(evaluation.get_absolute_url())
        for chart in page.locator(".chart").all():
            chart.scroll_into_view_if_needed()
            expect(chart.locator(".main-svg").first).to_be_visible()
        shot(page, f"evaluate-scorecard-{name}")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_text("The same as a table").first.click()
    expect(page.get_by_role("columnheader", name="abstained")).to_be_visible()


def test_a_start_and_a_wait(
    page: Page,
    sign_in: Callable[..., object],
    benchmark: Benchmark,  # noqa: F811 (a fixture)
    model: Callable[..., Artifact],  # noqa: F811 (a fixture)
    shot: Callable[[Page, str], None],
) -> None:
    sign_in("admin")
    page.goto("/evaluate/")
    shot(page, "evaluate-empty")
    page.goto("/evaluate/compare/")
    shot(page, "evaluate-compare-nothing")
    trained = model("trained", model("base"))
    page.goto("/evaluate/new/")
    page.get_by_label("Model optional").select_option("trained")
    page.get_by_label("Benchmark").select_option(str(benchmark.pk))
    shot(page, "evaluate-new")
    page.get_by_role("button", name="Evaluate").click()
    expect(page.get_by_text("The scorecard is on its way")).to_be_visible()
    shot(page, "evaluate-waiting")
    waiting = evaluation_queue(artifact=trained, benchmark=benchmark, actor=None)
    page.goto("/evaluate/")
    expect(page.get_by_text("queued").first).to_be_visible()
    page.goto(waiting.get_absolute_url())
