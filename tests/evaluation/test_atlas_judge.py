"""Atlas' judge: what is queued to teach it, and what its error is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client

from annotations.models import DatasetVersion
from evaluation.atlas.judging_rows import JudgingRows, asked_rows, judging_rows
from evaluation.atlas.world import make_world
from evaluation.atlas_judge import JudgeSettings, judge_error_of, judge_teach
from jobs.models import Job
from jobs.selectors import pipeline_jobs
from tests.training.learning import WORLD
from training.services import RunRefused


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings) -> None:
    settings.RLWHF_HOME = tmp_path


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., JudgingRows]:
    """Judges are taught a world with few people; the rows of one."""
    monkeypatch.setattr("evaluation.atlas_judge.AtlasSettings", lambda seed: replace(WORLD, seed=seed))
    return lambda seed, error_rate=0.0: judging_rows(make_world(replace(WORLD, seed=seed)), error_rate=error_rate, seed=seed)


@pytest.mark.django_db
def test_a_judge_is_taught_by_an_ordinary_run_and_asked_about_people_it_was_not_taught_about(
    tmp_path: Path, small_world: Callable[..., JudgingRows]
) -> None:
    pipeline = judge_teach(actor=None, wanted=JudgeSettings(error_rate=0.1, seed=3, max_steps=2))
    teach, ask = pipeline_jobs(pipeline)
    assert (teach.kind, ask.kind) == ("training.run", "training.generate")
    assert list(ask.after.values_list("pk", flat=True)) == [teach.pk]
    spec = teach.run.spec
    assert (spec["method"], spec["seed"], spec["settings"]["max_steps"]) == ("sft", 3, 2)
    rows = small_world(3, error_rate=0.1)
    asked = [orjson.loads(line) for line in Path(ask.payload["request"]["prompts"]).read_bytes().splitlines()]
    assert asked == list(asked_rows(rows.held_out))
    assert ask.payload["request"]["temperature"] == 0
    said = {row["id"]: str(row["label"]) for row in asked}
    (tmp_path / "answers.jsonl").write_bytes(
        b"".join(orjson.dumps({"id": one, "sample": 0, "answer": text}) + b"\n" for one, text in said.items())
    )
    Job.objects.filter(pk=ask.pk).update(folder=str(tmp_path))
    found = judge_error_of(pipeline)
    assert (found.agreement.value, found.malformed) == (1.0, 0)
    assert found.error.value == pytest.approx(rows.known_error)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_world")
def test_the_same_rows_are_one_dataset_and_a_name_is_taken_once() -> None:
    judge_teach(actor=None, wanted=JudgeSettings(seed=3))
    judge_teach(actor=None, wanted=JudgeSettings(seed=3, name="another"))
    assert DatasetVersion.objects.count() == 1
    with pytest.raises(RunRefused, match="atlas-judge"):
        judge_teach(actor=None, wanted=JudgeSettings(seed=3))
    judge_teach(actor=None, wanted=JudgeSettings(seed=3, error_rate=0.5, name="worse"))
    assert DatasetVersion.objects.count() == 2


@pytest.mark.django_db
def test_a_judge_is_taught_over_http_by_admins_and_its_error_is_told_once_it_is_known(
    tmp_path: Path, signed_in: Callable[[str], Client], small_world: Callable[..., JudgingRows]
) -> None:
    def post(role: str, **body: object) -> HttpResponse:
        return signed_in(role).post("/api/judges", body, content_type="application/json")

    assert post("member", seed=3).status_code == 403
    assert post("admin", seed=3, error_rate=7).status_code == 422
    made = post("admin", seed=3)
    assert made.status_code == 201, made.content
    assert post("admin", seed=3).status_code == 422, "the name is taken"
    where = f"/api/judges/{made.json()['pipeline']}/error"
    assert signed_in("member").get(where).status_code == 409
    rows = small_world(3).held_out
    (tmp_path / "answers.jsonl").write_bytes(b"".join(orjson.dumps({"id": one.id, "answer": "0"}) + b"\n" for one in rows))
    Job.objects.update(state="succeeded", folder=str(tmp_path))
    assert signed_in("member").get(where).json()["error"]["value"] == pytest.approx(0.8)


@pytest.mark.django_db
def test_the_command_says_what_is_missing() -> None:
    with pytest.raises(CommandError, match="between 0 and 1"):
        call_command("atlas_judge", "--error-rate", "2")
    with pytest.raises(CommandError, match="No worker takes jobs"):
        call_command("atlas_judge")
