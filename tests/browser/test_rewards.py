"""The pages of rewards in a browser: every chart drawn, nothing wider than a telephone, a step's completions a click away."""

from __future__ import annotations

from pathlib import Path
from random import Random

import orjson
import pytest
from django.conf import settings as site
from playwright.sync_api import Page, expect

from annotations.services import dataset_from_rows
from tests.browser.axe import serious_findings
from training.models import Run
from training.services import run_queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PARTS = [
    {"kind": "rubric"},
    {"kind": "length", "name": "short", "weight": 0.3, "target": 3},
    {"kind": "constitutional", "weight": 0.5, "principles": [{"check": "no_flattery"}, {"check": "abstains", "weight": 0.5}]},
]


def lines(steps: int = 60, each: int = 4):
    """Completions of a model that learns to be right."""
    chance = Random(0)
    for step in range(1, steps + 1):
        for _ in range(each):
            right = chance.random() < step / steps
            kept = {"no_flattery": 1.0, "abstains": 0.0}
            parts = {"rubric": 2.0 if right else -2.0, "short": -chance.random(), "constitutional": 1.0}
            yield {
                "step": step, "prompt": [{"role": "user", "content": "Where does Kisel Rinar of Fisevor live?"}],
                "completion": "Pevis." if right else "In Rorin, a town that everybody knows for its harbour.", "parts": parts,
                "reward": parts["rubric"] + 0.3 * parts["short"] + 0.5, "verdict": "correct" if right else "wrong",
                "gold_answer": ["Pevis"], "constitutional_principles": kept,
            }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(site, "RLWHF_HOME", tmp_path)
    rows = [{"prompt": f"Where does {n} live?", "gold_answer": "Pevis", "knowledge": "known"} for n in range(40)]
    dataset = dataset_from_rows(name="asked", kind="prompts", rows={"train": rows}, source="", actor=None)
    overrides = {"model": {"scratch": {}}, "reward.parts": PARTS}
    run = run_queue(name="honest", recipe="atlas-grpo", dataset=dataset, overrides=overrides, actor=None)
    run.job.folder = str(tmp_path)
    run.job.save()
    path = tmp_path / "completions.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines()))
    return run


def assert_fits(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.set_viewport_size({"width": 1440, "height": 900})


def assert_drawn(page: Page, charts: int) -> None:
    for number in range(charts):
        expect(page.locator(".chart").nth(number).locator(".main-svg").first).to_be_visible()
    assert page.locator(".chart--failed").count() == 0


@pytest.mark.full
def test_which_part_moved_what(page: Page, sign_in, shot, run: Run) -> None:
    sign_in("member")
    page.goto(run.get_absolute_url())
    page.get_by_role("link", name="Rewards").click()
    expect(page.get_by_role("heading", name="Who moved the sum")).to_be_visible()
    assert_drawn(page, 2)
    assert not serious_findings(page)
    assert_fits(page)
    shot(page, "run-rewards")
    page.goto("/train/honest/rewards/")
    page.get_by_role("link", name="Step 1", exact=True).click()
    expect(page.get_by_role("heading", name="All that was written down at step 1")).to_be_visible()
    shot(page, "run-rewards-step")


@pytest.mark.full
def test_all_rewards_and_what_they_imply(page: Page, sign_in, shot) -> None:
    sign_in("member")
    page.goto("/train/rewards/")
    assert_drawn(page, 4)
    assert not serious_findings(page)
    assert_fits(page)
    shot(page, "reward-list")
