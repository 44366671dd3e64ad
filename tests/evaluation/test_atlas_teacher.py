"""Atlas' judge as a teacher: taught, served and asked by the real parts. Nothing stands in for anything."""

from __future__ import annotations

import io
import random
import re
from pathlib import Path

import orjson
import pytest
from django.core.management import call_command

from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from annotations.models import Item, Project, Score, TeacherCall
from annotations.services import project_create
from annotations.services.teachers import teacher_run_queue, teacher_save
from annotations.teaching import carry_out
from annotations.tuples import content_hash, prompt_hash
from evaluation.atlas.judging_rows import JudgingRow, judging_rows
from evaluation.atlas.world import make_world
from jobs.selectors import tags_served
from tests.jobs.conftest import processes, until  # noqa: F401 - a fixture

ERROR_RATE = 0.2
ITEMS = 300


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings) -> None:
    settings.RLWHF_HOME = tmp_path


def item_of(project: Project, row: JudgingRow, position: int) -> Item:
    subject = row.subject
    prompt = [{"role": "user", "content": subject.prompt}]
    return Item(
        project=project, prompt=prompt, prompt_text=subject.prompt, answer=subject.answer, gold_answers=[subject.reference],
        content_hash=content_hash(prompt, subject.answer, None), prompt_hash=prompt_hash(prompt),
        position=position, is_open=False,
    )  # fmt: skip


@pytest.mark.full
def test_a_taught_judge_is_served_and_scores_a_project_as_wrongly_as_is_known(processes, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Nothing stands in for anything: worker, training child, `rlwhf serve`, endpoint, teacher."""
    processes.start("worker", "--tags", "cpu")
    processes.start("reconcile")
    until(lambda: "cpu" in tags_served(), log=processes.log)
    told = io.StringIO()
    call_command("atlas_judge", "--error-rate", str(ERROR_RATE), "--json", stdout=told)
    measured = orjson.loads(told.getvalue())
    assert measured["malformed"] == 0
    assert measured["agreement"]["value"] >= 0.9
    assert measured["known_error"] == pytest.approx(ERROR_RATE, abs=0.05)
    assert abs(measured["error"]["value"] - measured["known_error"]) <= 0.05

    monkeypatch.setattr("tests.jobs.conftest.LEASE", 20.0)  # the command checks settings, and two seconds are no lease
    processes.start("serve", "atlas-judge", "--port", "0")
    until(lambda: "Serving atlas-judge at " in processes.log(), within=60, log=processes.log)
    address = re.findall(r"Serving atlas-judge at (\S+)", processes.log())[0]
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    endpoint = endpoint_save(name="judge", base_url=address, model="atlas-judge", actor=None, is_new=True)
    version = teacher_save(
        name="atlas", endpoint=endpoint, prompt="brief-1", uses_reference=True, max_tokens=4, max_calls=2 * ITEMS, actor=None
    )
    held_out = judging_rows(make_world(), error_rate=ERROR_RATE).held_out
    rows = {(row.subject.prompt, row.subject.answer): row for row in random.Random(0).sample(held_out, ITEMS)}
    project = project_create(name="Atlas", actor=None)
    Item.objects.bulk_create(item_of(project, row, number) for number, row in enumerate(rows.values()))
    run = carry_out(teacher_run_queue(teacher=version.teacher, project=project, actor=None))
    assert (run.scored, run.malformed, run.ended_early) == (len(rows), 0, "")
    assert set(TeacherCall.objects.values_list("source", flat=True)) == {"live"}
    scores = Score.objects.live().filter(rater=version.rater).select_related("item")
    judged = [(rows[one.item.prompt_text, one.item.answer], one.overall) for one in scores]
    known = sum(row.label != row.right for row, _ in judged) / len(judged)
    error = sum(row.right != score for row, score in judged) / len(judged)
    assert sum(row.label == score for row, score in judged) / len(judged) >= 0.9
    assert abs(error - known) <= 0.05
