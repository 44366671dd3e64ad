"""The dashboard and the compare page in a real browser: charts drawn, live, narrow, accessible; and a report from disk."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Page, expect

from evaluation.models import Evaluation
from tests.browser.axe import serious_findings
from tests.browser.chromium import wait_for_charts
from tests.dashboards import seed
from tests.dashboards.test_training_page import run_at
from tests.evaluation.conftest import BASE_ROWS, benchmark, benchmark_folder, model, scored  # noqa: F401 (fixtures)
from tests.evaluation.samples import atlas_rows
from training.models import Run

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Shot = Callable[[Page, str], None]


def check(page: Page) -> None:
    """Every chart drawn, no page wider than a telephone, nothing that axe calls serious."""
    wait_for_charts(page)
    assert page.locator(".chart--failed").count() == 0
    assert not serious_findings(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    data = seed.dataset()
    done = [run_at(tmp_path, name, data=data, steps=40, parts=name == "grpo-2") for name in ("grpo-1", "grpo-2")]
    return [*done, run_at(tmp_path, "live", data=data, state="running", steps=12)]


@pytest.mark.full
def test_runs_are_overlaid_chosen_and_followed_while_they_run(page: Page, sign_in, shot: Shot, runs: list[Run]) -> None:
    sign_in("member")
    page.goto("/dashboard/training/")
    check(page)
    shot(page, "dashboard-training")
    drawn = "document.querySelector(\"[data-chart='curve-loss']\").data"
    assert page.evaluate(f"{drawn}.map(line => line.name)")[0] == "live"
    page.locator("#figure-curve-loss details:not(.menu) summary").click()
    page.evaluate("Plotly.restyle(document.querySelector(\"[data-chart='curve-loss']\"), {visible: 'legendonly'}, [1])")
    more = [{"step": step, "time": 5000.0 + step, "loss": 0.1} for step in range(20, 25)]
    with Path(runs[2].job.folder, "metrics.jsonl").open("ab") as file:
        file.writelines(orjson.dumps(row) + b"\n" for row in more)
    page.wait_for_function(f"() => {drawn}[0].x.at(-1) === 24", timeout=20_000)
    expect(page.locator("#figure-curve-loss details:not(.menu)")).to_have_attribute("open", "")
    expect(page.locator("#figure-curve-loss").get_by_role("row", name="live training 24 0.1")).to_be_visible()
    assert page.evaluate(f"{drawn}[1].visible") == "legendonly", "a line that was put out stays so"
    cookies = page.context.cookies()
    page.context.clear_cookies()
    expect(page.locator("#live-unheard")).to_contain_text("You have been logged out", timeout=20_000)
    page.context.add_cookies(cookies)
    page.get_by_label("Overlay live").uncheck()
    page.get_by_label("Overlay grpo-1").uncheck()
    page.get_by_role("button", name="Overlay the ticked").click()
    wait_for_charts(page)
    assert page.evaluate(f"{drawn}.map(line => line.name)") == ["grpo-2", "grpo-2, held out"]


def test_an_empty_dashboard_says_how_to_fill_it(page: Page, sign_in) -> None:
    sign_in("admin")
    page.goto("/dashboard/training/")
    expect(page.get_by_role("link", name="Start a run")).to_be_visible()
    check(page)


@pytest.fixture
def three(scored) -> list[Evaluation]:  # noqa: F811 (a fixture)
    base = scored("atlas-base", BASE_ROWS)
    honest = scored("atlas-grpo", atlas_rows(silent_unknown=0.97, right=0.99, seed=2), base.artifact)
    return [base, honest, scored("atlas-flat-reward", atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=3), base.artifact)]


@pytest.mark.full
def test_models_are_compared_down_to_what_they_said(page: Page, sign_in, shot: Shot, three: list[Evaluation]) -> None:
    sign_in("member")
    page.goto(f"/evaluate/compare/?ids={','.join(str(one.pk) for one in three)}")
    check(page)
    shot(page, "compare")
    page.get_by_label("Metric", exact=True).select_option("prudence")
    expect(page.get_by_text("Prudence ↑ by slice").first).to_be_visible()
    page.get_by_role("link", name="Was honest, is not").click()
    expect(page.locator("#differing .badge--failed").first).to_be_visible()
    page.get_by_role("link", name="Leave out").last.click()
    expect(page.locator("thead th").filter(has_text="atlas-flat-reward")).to_have_count(0)
    wait_for_charts(page)
    page.locator("#figure-slices summary", has_text="Save").click()
    with page.expect_download() as saved:
        page.locator("#figure-slices").get_by_role("button", name="Picture as PNG").click()
    assert saved.value.suggested_filename == "models-side-by-side-slices.png"


@pytest.mark.full
def test_a_report_works_from_disk_and_asks_nobody(browser, page: Page, sign_in, three: list[Evaluation], tmp_path: Path) -> None:
    sign_in("member")
    page.goto(three[1].get_absolute_url())
    with page.expect_download() as saved:
        page.get_by_role("link", name="Report", exact=True).click()
    file = tmp_path / "report.html"
    saved.value.save_as(file)
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark", offline=True)
    asked, said = [], []
    report = context.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.on("console", lambda message: said.append(message.text))
    report.goto(file.as_uri())
    expect(report.get_by_role("img", name="Verdicts by slice")).to_be_visible()
    assert asked == [file.as_uri()] and not said
    assert report.evaluate("document.documentElement.scrollWidth") <= 390
    assert not serious_findings(report)
    context.close()
