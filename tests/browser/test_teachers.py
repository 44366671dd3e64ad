"""The pages of AI teachers in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from annotations.models import TeacherRun
from annotations.services import project_create
from annotations.services.teachers import teacher_run_queue, teacher_save

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_teachers_runs_are_read_whole_on_a_wide_screen_whatever_they_took(
    page: Page, sign_in: Callable[..., object], shot: Callable[[Page, str], None]
) -> None:
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    endpoint = endpoint_save(name="judge", base_url="http://127.0.0.1:9/v1", model="judge-7b", actor=None)
    version = teacher_save(name="strict", endpoint=endpoint, actor=None)
    run = teacher_run_queue(teacher=version.teacher, project=project_create(name="Towns of the north", actor=None), actor=None)
    many = {"scored": 98_765, "cannot_tell": 1_234, "malformed": 567, "questions": 123_456, "cost": Decimal("259.25925")}
    tokens = {"tokens_in": 98_765_432, "tokens_out": 1_234_567, "fallbacks": 14, "by_search": 900, "by_cache": 300}
    TeacherRun.objects.filter(pk=run.pk).update(
        **many, **tokens, ended_early="Its budget is used up: 123456 calls or a cost of 260."
    )
    sign_in("member")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/teachers/strict/")
    runs = page.locator("#runs .table-wrap")
    expect(runs.get_by_text("evidence: 900 searched, 300 kept")).to_be_visible()
    expect(runs.get_by_text("567 malformed")).to_be_visible()
    shot(page, "teacher-runs")
    assert runs.evaluate("box => box.scrollWidth - box.clientWidth") <= 0, "its last column, the cost, is cut off"
