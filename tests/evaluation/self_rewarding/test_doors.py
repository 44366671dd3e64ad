"""The pages and the API of self-rewarding: who may what, what is shown, and that both do what the command does."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.services import token_create
from annotations.models import Rater, Teacher, TeacherVersion
from annotations.services import dataset_from_rows
from annotations.services.revocations import revocation_lift, revoke
from evaluation.chatting.jobs import KIND as SERVING_KIND
from evaluation.models import Evaluation
from evaluation.self_rewarding.services import round_decided
from evaluation.self_rewarding.settings import STAGES
from jobs.models import Job, Pipeline, Worker
from jobs.services import job_queue
from tests.evaluation.samples import atlas_rows
from tests.evaluation.self_rewarding.conftest import cleaned, evaluated, job_of, judged

pytestmark = pytest.mark.django_db
PAGES = ("self-rewarding-list", "self-rewarding-create")


@pytest.fixture
def prompts_version(db: None) -> Any:
    rows = {"train": [{"prompt": f"How many is {number}?", "gold_answer": "7"} for number in range(4)]}
    return dataset_from_rows(name="asked", kind="prompts", rows=rows, source="test", actor=None)


@pytest.fixture
def shown(loop, tmp_path, monkeypatch) -> Pipeline:
    """A loop whose first round is judged, measured and decided; it ended early."""
    judged(loop, tmp_path / "round", monkeypatch)
    cleaned(loop)
    for pk in (loop.payload["start_evaluation"], loop.payload["rounds"][0]["evaluation"]):
        evaluated(Evaluation.objects.get(pk=pk), atlas_rows(silent_unknown=0.5, right=0.98, seed=1), tmp_path)
    decision = {"goes_on": False, "reason": "Held-out honesty fell: so.", "differences": []}
    round_decided(job=job_of(loop, "decide"), decision=decision)
    loop.jobs.exclude(state="succeeded").update(state="succeeded")
    loop.refresh_from_db()
    return loop


def test_who_may_look_and_who_may_act(signed_in, shown):
    pages = [reverse("evaluation:self-rewarding-list"), reverse("evaluation:self-rewarding-detail", args=[shown.pk])]
    for role, status in (("annotator", 403), ("member", 200), ("admin", 200)):
        assert [signed_in(role).get(page).status_code for page in pages] == [status] * 2
    acts = [reverse(f"evaluation:self-rewarding-{name}", args=[shown.pk]) for name in ("stop", "resume", "stage")]
    for act in (reverse("evaluation:self-rewarding-create"), *acts):
        assert signed_in("member").post(act).status_code == 403


def test_what_is_missing_for_a_first_loop_is_said(signed_in):
    page = signed_in("admin").get(reverse("evaluation:self-rewarding-list")).content.decode()
    assert "No loop yet" in page and "Start a loop" in page
    page = signed_in("admin").get(reverse("evaluation:self-rewarding-create")).content.decode()
    assert "Something is missing still" in page and "A benchmark to measure each round on" in page
    assert "Start a loop" not in signed_in("member").get(reverse("evaluation:self-rewarding-list")).content.decode()


def test_the_form_starts_the_loop_that_the_service_would(signed_in, wanted, benchmark, prompts_version):
    wanted()
    client = signed_in("admin")
    new = reverse("evaluation:self-rewarding-create")
    values = {
        "model": "tiny", "prompts": "asked", "benchmark": benchmark.hash, "judge": "self", "method": "gspo", "rounds": "2",
        "hardware_tag": "cpu", "judge_prompt": "score-0-5-1", "samples": "3", "max_new_tokens": "8", "min_gap": "1",
        "stop": "fell", "margin": "0.05", "seed": "4", "max_steps": "7",
    }  # fmt: skip
    assert client.get(new).status_code == 200
    wrong = client.post(new, values | {"recipe": "sft-cpu"})
    assert wrong.status_code == 422 and "trains on a sft dataset" in wrong.content.decode()
    assert "to be shown not to have fallen" in client.post(new, values | {"stop": "not-shown", "margin": "0"}).content.decode()
    answer = client.post(new, values)
    made = Pipeline.objects.get(kind="self-rewarding")
    assert answer.url == reverse("evaluation:self-rewarding-detail", args=[made.pk])
    told = made.payload["settings"]
    assert (told["method"], told["samples"], told["overrides"], told["seed"]) == ("gspo", 3, {"settings.max_steps": 7}, 4)
    page = client.get(answer.url).content.decode()
    assert "round 1 of 2" in page and "Stop" in page and "Curves and distributions come with" in page
    client.post(reverse("evaluation:self-rewarding-stop", args=[made.pk]))
    assert "Resume" in client.get(answer.url).content.decode()
    client.post(reverse("evaluation:self-rewarding-resume", args=[made.pk]))
    assert made.jobs.filter(state="queued").count() == 7


def test_a_loop_is_shown_with_its_figures_and_goes_on_where_an_admin_says_so(signed_in, shown):
    address = reverse("evaluation:self-rewarding-detail", args=[shown.pk])
    page = signed_in("admin").get(address).content.decode()
    assert "ended early" in page and "Held-out honesty fell: so." in page and "Go on all the same" in page
    for chart in ("honesty", "scores", "kept", "lengths", "judge"):
        assert f'id="figure-{chart}"' in page or f'"{chart}"' in page
    csv = signed_in("member").get(address, {"csv": "kept"}).content.decode()
    assert csv.splitlines()[0].startswith("round,pairs,scored answers,weighted groups") and "round 1,6,12,6" in csv
    beside = signed_in("member").get(address, {"csv": "judge"}).content.decode()
    assert beside.splitlines() == ["round,n,right,too high,too low", "round 1,12,6,6,0"]
    assert "wholly below 0." in page and "start," in signed_in("member").get(address, {"csv": "honesty"}).content.decode()
    assert signed_in("member").get(address, {"csv": "nothing"}).status_code == 404
    signed_in("admin").post(reverse("evaluation:self-rewarding-resume", args=[shown.pk]))
    shown.refresh_from_db()
    assert len(shown.payload["rounds"]) == 1, "not unasked"
    signed_in("admin").post(reverse("evaluation:self-rewarding-resume", args=[shown.pk]), {"regardless": "yes"})
    shown.refresh_from_db()
    assert len(shown.payload["rounds"]) == 2


def test_a_loop_that_waits_says_what_for_and_an_admin_may_stop_the_model_that_is_served_there(signed_in, loop):
    now, first = timezone.now(), loop.jobs.order_by("pk")[0]
    address = reverse("evaluation:self-rewarding-detail", args=[loop.pk])
    page = signed_in("member").get(address).content.decode()
    assert f'Next is <a href="{first.get_absolute_url()}">' in page and "No worker takes" in page
    worker = Worker.objects.create(name="w", host="h", pid=1, tags=["cpu"], started_at=now, seen_at=now)
    held = job_queue(kind=SERVING_KIND, title="Serve tiny for chat", payload={"idle_s": 300.0}, hardware_tag="cpu", actor=None)
    about = {"worker": worker, "lease_token": "0" * 32, "lease_until": now, "started_at": now}
    Job.objects.filter(pk=held.pk).update(state="running", **about)
    page, stop = signed_in("member").get(address).content.decode(), reverse("jobs:job-stop", args=[held.pk])
    assert "At work now" in page and "until nobody has asked it for 5 minutes" in page and stop not in page
    assert stop in signed_in("admin").get(address).content.decode()
    Job.objects.filter(pk=held.pk).update(kind="probe")
    page = signed_in("admin").get(address).content.decode()
    assert "At work now" in page and stop not in page, "other work is not to be stopped for it"
    Job.objects.filter(pk=first.pk).update(state="running", **about | {"lease_token": "1" * 32})
    assert "Next is" not in signed_in("member").get(address).content.decode()


def test_a_round_that_trained_on_few_rows_says_so_and_why(signed_in, shown):
    told = "6 pairs came of 6 prompts. So few teach next to nothing"
    assert told in signed_in("member").get(reverse("evaluation:self-rewarding-detail", args=[shown.pk])).content.decode()
    assert told in signed_in("member").get(f"/api/self-rewarding/{shown.pk}").json()["rounds"][0]["few"]
    report = signed_in("member").get(reverse("evaluation:self-rewarding-report", args=[shown.pk, "html"])).content.decode()
    assert told in report
    output = io.StringIO()
    call_command("pipeline", "show", str(shown.pk), stdout=output)
    assert told in output.getvalue()


def test_only_teachers_that_may_judge_are_offered(signed_in, wanted, prompts_version, teacher):
    wanted()
    address = reverse("evaluation:self-rewarding-create")

    def offered() -> bool:
        return "teacher:strict" in signed_in("admin").get(address).content.decode()

    assert offered()
    versions = TeacherVersion.objects.filter(teacher__name="strict")
    scores = versions.get().prompt
    versions.update(prompt=scores | {"kind": "pairwise"})
    assert not offered(), "it compares"
    versions.update(prompt=scores)
    made = revoke(target=Rater.objects.get(name="strict@1"), reason="Too kind.", actor=None)
    assert not offered(), "its scores are revoked"
    revocation_lift(revocation=made, reason="Not so.", actor=None)
    assert offered()
    Teacher.objects.update(is_active=False)
    assert not offered(), "it rests"


def test_nothing_goes_on_after_the_last_round(signed_in, shown):
    shown.payload["settings"]["rounds"] = 1
    shown.save(update_fields=["payload"])
    page = signed_in("admin").get(reverse("evaluation:self-rewarding-detail", args=[shown.pk])).content.decode()
    assert "ended early" in page and "Go on all the same" not in page and "Resume" not in page


def test_the_report_is_a_file_that_says_it_all(signed_in, shown, tmp_path):
    answer = signed_in("member").get(reverse("evaluation:self-rewarding-report", args=[shown.pk, "html"]))
    text = answer.content.decode()
    assert answer["Content-Disposition"] == f'attachment; filename="self-rewarding-{shown.pk}.html"'
    for said in ("Round by round", "Held-out honesty", "Pairs kept and dropped", "How long answers are", "honesty fell: so."):
        assert said in text
    assert signed_in("member").get(reverse("evaluation:self-rewarding-report", args=[shown.pk, "docx"])).status_code == 404


def test_the_api_does_what_the_pages_do(client, django_user_model, wanted, benchmark, prompts, prompts_version):
    def headers(role: str) -> dict[str, str]:
        user = django_user_model.objects.create_user(f"{role}-api", password="x", role=role)
        return {"Authorization": f"Bearer {token_create(user=user, name='t', actor=user)[1]}"}

    admin, member = headers("admin"), headers("member")

    def call(address: str, body: Any = None, who: dict[str, str] = admin) -> Any:
        if body is None:
            return client.get(f"/api/self-rewarding{address}", headers=who)
        return client.post(f"/api/self-rewarding{address}", orjson.dumps(body), content_type="application/json", headers=who)

    settings = wanted(prompts=prompts_version.name).model_dump(mode="json")
    assert call("", {"settings": settings}, who=member).status_code == 403
    # A file of the machine is for its shell: a token reads none by its path.
    assert "for the shell" in call("", {"settings": settings | {"prompts": str(prompts)}}).json()["detail"]
    assert call("", {"settings": settings | {"model": "nobody"}}).status_code == 422
    made = call("", {"settings": settings, "stages": ["generate"]})
    assert made.status_code == 201
    told = made.json()
    assert (told["next_stage"], next(iter(told["rounds"][0]["stages"])), told["state"]) == ("judge", "generate", "round 1 of 3")
    address = f"/{told['id']}"
    assert call(f"{address}/stage", {"stage": "train"}).status_code == 409
    assert call(f"{address}/stage", {"stage": "judge", "settings": {"prompts": str(prompts)}}).status_code == 422
    assert call(f"{address}/stage", {"stage": "judge", "settings": {"method": "gspo"}}).status_code == 409
    judged_by = call(f"{address}/stage", {"stage": "judge", "settings": {"min_gap": 2.0}}).json()
    assert (judged_by["next_stage"], judged_by["settings"]["min_gap"]) == ("clean", 2.0)
    assert call(f"{address}/stop", {}).json()["state"] == "stopped"
    assert set(call(f"{address}/resume", {}).json()["rounds"][0]["stages"]) == set(STAGES)
    assert Pipeline.objects.get(pk=told["id"]).jobs.filter(state="queued").count() == 7
    assert call("", who=member).json()["items"][0]["id"] == told["id"]
    assert call(f"{address}/report.html", who=member).status_code == 200
