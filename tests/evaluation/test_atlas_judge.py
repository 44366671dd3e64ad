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
from django.urls import reverse

from accounts.models import Endpoint
from annotations.models import DatasetVersion
from evaluation.atlas.judging_rows import JudgingRows, asked_rows, judging_rows
from evaluation.atlas.world import make_world
from evaluation.atlas_judge import JudgeSettings, judge_error_of, judge_teach
from jobs.models import Job, Pipeline
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


@pytest.mark.django_db
def test_a_judge_is_taught_from_its_page_which_then_says_its_error_and_what_makes_it_a_teacher(
    tmp_path: Path, signed_in: Callable[[str], Client], small_world: Callable[..., JudgingRows]
) -> None:
    listed, new = reverse("evaluation:judge-list"), reverse("evaluation:judge-create")
    assert signed_in("admin").get(reverse("annotations:teacher-list")).content.decode().count(listed) == 2
    assert "No judge yet" in signed_in("member").get(listed).content.decode()
    assert new not in signed_in("member").get(listed).content.decode()
    assert signed_in("member").get(new).status_code == 403
    wanted = {"name": "strict-judge", "error_rate": "0.1", "seed": "3", "hardware_tag": "cpu"}
    assert signed_in("admin").post(new, wanted | {"error_rate": "7"}).status_code == 422
    made = signed_in("admin").post(new, wanted)
    pipeline = Pipeline.objects.get()
    assert made.status_code == 302 and made.headers["Location"] == reverse("evaluation:judge-detail", args=[pipeline.pk])
    again = signed_in("admin").post(new, wanted)
    assert again.status_code == 422 and "strict-judge" in again.content.decode()
    page = signed_in("member").get(made.headers["Location"]).content.decode()
    assert 'hx-trigger="every 2s"' in page and "Once it is taught" in page
    rows = small_world(3, error_rate=0.1).held_out
    said = b"".join(orjson.dumps({"id": one.id, "answer": str(one.label)}) + b"\n" for one in rows)
    (tmp_path / "answers.jsonl").write_bytes(said)
    Job.objects.update(state="succeeded", folder=str(tmp_path))
    page = signed_in("member").get(made.headers["Location"]).content.decode()
    assert "100.0%" in page and "rlwhf serve strict-judge" in page and "every 2s" not in page
    assert "name=strict-judge-served&amp;model=strict-judge" in page, "an endpoint may not have a model's name"
    assert "strict-judge" in signed_in("member").get(listed).content.decode()
    (tmp_path / "answers.jsonl").unlink()
    assert "100.0%" in signed_in("member").get(made.headers["Location"]).content.decode(), "its error is kept"
    assert signed_in("member").get(f"/api/judges/{pipeline.pk}/error").json()["agreement"]["value"] == 1.0


@pytest.mark.django_db
def test_a_judge_whose_answers_were_tidied_away_says_so(
    tmp_path: Path, signed_in: Callable[[str], Client], small_world: Callable[..., JudgingRows]
) -> None:
    pipeline = judge_teach(actor=None, wanted=JudgeSettings(seed=3))
    Job.objects.update(state="succeeded", folder=str(tmp_path / "gone"))
    page = signed_in("member").get(reverse("evaluation:judge-detail", args=[pipeline.pk])).content.decode()
    assert "tidied away" in page and "rlwhf serve atlas-judge" in page
    answered = signed_in("member").get(f"/api/judges/{pipeline.pk}/error")
    assert answered.status_code == 409 and "tidied away" in answered.json()["detail"]


@pytest.mark.django_db
def test_a_judges_page_fills_in_the_forms_that_make_it_a_teacher(signed_in: Callable[[str], Client]) -> None:
    known = "?name=strict-judge&model=strict-judge&base_url=http://127.0.0.1:8001/v1&key=never"
    page = signed_in("admin").get(reverse("accounts:endpoint-list") + known).content.decode()
    assert page.count('value="strict-judge"') == 2 and 'value="http://127.0.0.1:8001/v1"' in page and 'value="never"' not in page
    Endpoint.objects.create(name="judge", base_url="http://127.0.0.1:8001/v1", model="strict-judge")
    new = signed_in("admin").get(reverse("annotations:teacher-create")).content.decode()
    assert '<option value="honesty-single-1" selected>' in new, "as in the shell, and over HTTP"
    wanted = "?prompt=brief-1&uses_reference=1&max_tokens=4"
    page = signed_in("admin").get(reverse("annotations:teacher-create") + wanted).content.decode()
    assert '<option value="brief-1" selected>' in page and 'value="4"' in page and "checked" in page
