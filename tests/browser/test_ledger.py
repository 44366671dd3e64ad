"""The ledger, champions and teachers in a real browser: no console error, nothing serious to axe, none wider than a telephone."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from playwright.sync_api import Page, expect

from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from annotations.models import Project, TeacherRun
from annotations.services.teachers import teacher_run_queue, teacher_save
from annotations.statistics.pairwise import Prompt, pairwise_quality
from annotations.teacher_quality import quality_of
from evaluation.ledger.services import rebuild_queue, scores_revoke
from evaluation.models import Evaluation
from evaluation.promotion.services import rules_set
from jobs.models import Job
from tests.browser.axe import serious_findings
from tests.evaluation.conftest import benchmark, benchmark_folder, model  # noqa: F401 (fixtures)
from tests.evaluation.ledger.conftest import history, home, project, rater  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.browser, pytest.mark.full, pytest.mark.django_db(transaction=True)]


def looked_at(page: Page, shot: Callable[[Page, str], None], name: str, url: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(url, timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert serious_findings(page) == [], url
    shot(page, name)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, url


def test_revoked_scores_are_marked_from_the_people_page_to_the_champion(
    page: Page,
    sign_in: Callable[..., object],
    shot: Callable[[Page, str], None],
    project: Project,  # noqa: F811
    history,  # noqa: F811
    benchmark,  # noqa: F811
) -> None:
    sign_in("admin")
    Evaluation.objects.update(scorecard=None, headline={})
    rules_set(project=project, rules={}, benchmark=benchmark, actor=None)
    looked_at(page, shot, "ledger-list-none", "/evaluate/ledger/")
    looked_at(page, shot, "ledger-preview", f"/evaluate/ledger/raters/{rater('ann').pk}/")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("Reason").fill("Guessed.")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Nothing was deleted")).to_be_visible()
    made = scores_revoke(target=rater("kind@1"), reason="Too kind.", actor=None)
    rebuild_queue(revocation=made, actor=None, depth="runs")
    pages = {
        "ledger-list": "/evaluate/ledger/",
        "ledger-detail": made.get_absolute_url(),
        "champions": "/evaluate/champions/",
        "champion": f"/evaluate/champions/{project.slug}/",
        "champion-rules": f"/evaluate/champions/{project.slug}/rules/",
        "champion-model": "/dashboard/models/second/",
        "people-revoked": "/dashboard/people/",
        "data-revoked": "/dashboard/data/",
        "alerts-revoked": "/jobs/alerts/",
    }
    for name, url in pages.items():
        looked_at(page, shot, name, url)


def test_a_teacher_s_pages(
    page: Page,
    sign_in: Callable[..., object],
    shot: Callable[[Page, str], None],
    project: Project,  # noqa: F811
) -> None:
    sign_in("admin")
    looked_at(page, shot, "teachers-none", "/teachers/")
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    local = endpoint_save(name="local", base_url="http://127.0.0.1:9/v1", model="judge-7b", key="", actor=None, is_new=True)
    order = {1: 1, 2: 2, 3: 3}
    prompts = [Prompt(order, {"ann": order, "ben": {1: 1, 2: 3, 3: 2}})] * 3 + [Prompt({1: 2, 2: 1, 3: 3}, {"ann": order})]
    for name, prompt in (("careful", "honesty-single-1"), ("fair", "honesty-pairwise-1")):
        Project.objects.update(mode="compare" if name == "fair" else "score")
        version = teacher_save(name=name, endpoint=local, actor=None, prompt=prompt)
        run = teacher_run_queue(teacher=version.teacher, project=Project.objects.get(), actor=None, most=None)
        quality = quality_of(version, project)
        if name == "fair":
            quality |= {"rankings": pairwise_quality(prompts, consistent=10, asked_twice=12)}
        TeacherRun.objects.filter(pk=run.pk).update(
            quality=orjson.loads(orjson.dumps(quality, option=orjson.OPT_SERIALIZE_NUMPY)), scored=12
        )
        Job.objects.filter(pk=run.job_id).update(state="succeeded")
    scores_revoke(target=rater("careful@1"), reason="Its prompt was wrong.", actor=None)
    pages = {
        "teachers": "/teachers/",
        "teacher-scores": "/teachers/careful/",
        "teacher-pairs": "/teachers/fair/",
        "teacher-new": "/teachers/new/",
        "teacher-change": "/teachers/careful/edit/",
    }
    for name, url in pages.items():
        looked_at(page, shot, name, url)
