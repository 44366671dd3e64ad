"""The dashboard's overview, model, people, data and drift pages in a real browser: drawn, narrow enough, accessible."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from annotations.models import DatasetVersion, Item, Project, Rater, Score
from annotations.quality_compute import quality_run
from annotations.services.scoring import score_submit
from evaluation.models import Evaluation
from jobs.models import Job
from tests.annotations.conftest import items, person, project, write  # noqa: F401 (fixtures)
from tests.browser.chromium import wait_for_charts
from tests.browser.test_dashboard import check
from tests.dashboards import seed
from tests.dashboards.test_training_page import run_at
from tests.evaluation.conftest import BASE_ROWS, benchmark, benchmark_folder, model, scored  # noqa: F401 (fixtures)
from tests.evaluation.samples import atlas_rows

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Shot = Callable[[Page, str], None]


@pytest.mark.full
def test_the_overview_leads_to_a_model_and_its_parent(page: Page, sign_in, shot: Shot, scored: Callable[..., Evaluation]) -> None:  # noqa: F811
    base = scored("base", BASE_ROWS).artifact
    scored("honest", atlas_rows(silent_unknown=0.97, right=0.99, seed=2), base)
    scored("silent", atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=3), base)
    sign_in("member")
    page.goto("/dashboard/")
    check(page)
    shot(page, "dashboard-overview")
    page.get_by_role("rowheader", name="honest").get_by_role("link").click()
    check(page)
    shot(page, "dashboard-model")
    page.get_by_label("by", exact=True).select_option("template")
    page.wait_for_url("**by=template**")
    wait_for_charts(page)
    expect(page.get_by_role("link", name="Compare with base")).to_be_visible()


@pytest.mark.full
def test_a_live_page_is_never_of_two_scorecards(page: Page, sign_in, scored: Callable[..., Evaluation]) -> None:  # noqa: F811
    first = scored("base", BASE_ROWS)
    other = scored("other", atlas_rows(silent_unknown=1.0, silent_known=0.97, seed=3))
    again = Evaluation.objects.create(artifact=first.artifact, benchmark=first.benchmark, job=seed.job("x", "x", state="running"))
    sign_in("member")
    page.goto("/dashboard/models/base/")
    wait_for_charts(page)
    expect(page.get_by_label("Evaluations under way")).to_be_visible()
    opened = page.locator("details", has=page.locator("summary", has_text="slices")).last
    opened.locator("summary").click()
    page.locator("#figure-knowledge details:not(.menu) summary").click()
    Evaluation.objects.filter(pk=again.pk).update(scorecard=other.scorecard, headline=other.headline)
    Job.objects.filter(pk=again.job_id).update(state="succeeded", finished_at=timezone.now(), lease_token=None)
    expect(page.locator(f"[data-live-of='{again.pk}']")).to_be_attached(timeout=20_000)
    expect(page.get_by_role("link", name="This scorecard")).to_have_attribute("href", again.get_absolute_url())
    silent = "document.querySelector(\"[data-chart='knowledge']\").data.find(line => line.name === 'abstained').customdata[0]"
    assert page.evaluate(silent) == other.scorecard["knowledge_grid"]["known"]["abstained"]
    assert other.headline["conclusion"]["text"] in page.locator("main .notice").first.inner_text()
    expect(opened).to_have_attribute("open", "")
    expect(page.locator("#figure-knowledge details:not(.menu)")).to_have_attribute("open", "")
    assert page.locator("[data-charts-live]").count() == 0, "nothing goes on any more"


@pytest.mark.full
def test_people_data_and_drift(page: Page, sign_in, shot: Shot, project: Project, items: list[Item], person, tmp_path) -> None:  # noqa: F811
    Item.objects.filter(pk__in=[one.pk for one in items[:5]]).update(source_model="grpo-1")
    people = [person(name) for name in ("ann", "bob", "cleo")]
    for number, item in enumerate(items):
        for place, one in enumerate(people):
            score_submit(item=item, actor=one, submission=uuid4(), overall=min(2, number % 4 - 1 + place // 2))
    gold = Rater.objects.create(kind="gold", name="gold")
    about = {"rater": gold, "rubric_version": project.rubric_version, "given_at": timezone.now()}
    Score.objects.bulk_create(Score(item=item, overall=place % 3 - 1, **about) for place, item in enumerate(items))
    quality_run(project=project, actor=None)
    report = {"gate": {"seen": 40, "drops": {"too short": 3, "flagged": 7}}, "splits": {"train": 25, "eval": 5, "test": 0}}
    data = DatasetVersion.objects.create(
        name="capitals-1", kind="sft", project=project, ready_at=timezone.now(), verdict="warn", report=report
    )
    run_at(tmp_path, "grpo-1", data=data, parts=True, base=seed.run("plain", data=data).artifact)
    sign_in("member")
    for name in ("people", "data", "drift"):
        page.goto(f"/dashboard/{name}/")
        check(page)
        shot(page, f"dashboard-{name}")
