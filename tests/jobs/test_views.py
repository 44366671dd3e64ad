"""The pages of background work: what they show, and to whom."""

import os
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from jobs.models import Job, Pipeline, Worker
from jobs.services import job_queue, job_stop, pipeline_create

pytestmark = pytest.mark.django_db


def client_of(role: str) -> Client:
    client = Client()
    user = User.objects.filter(username=role).first() or User.objects.create_user(role, role=role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def queued(**more) -> Job:
    return job_queue(kind="test.python", payload={"code": ""}, **({"title": "Teach Atlas"} | more))


def page_of(role: str, name: str, *arguments: object, **query: str) -> str:
    return client_of(role).get(reverse(f"jobs:{name}", args=arguments), query).text


@pytest.fixture
def ran(tmp_path: Path) -> Job:
    """A job that has failed, with the files of a run in its folder."""
    job = queued()
    folder = tmp_path / "work" / "1-1"
    (folder / "model").mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(f'{{"step": {n}, "time": {n}.5, "loss": {1 / n}}}\n' for n in range(1, 9)))
    sample = '{"time": 5, "cpu_percent": 98.5, "rss_bytes": 1048576, "gpus": null, "energy_joules": null}\n'
    (folder / "telemetry.jsonl").write_text(sample)
    (folder / "log.txt").write_text("begun\n10%\r50%\r100%\nThe <b>end</b>")
    (folder / "model" / "weights.bin").write_bytes(b"\0" * 1000)
    values = {"state": "failed", "reason": "Row 3 is bad.", "hint": "Mend it.", "attempt": 1, "folder": str(folder)}
    Job.objects.filter(pk=job.pk).update(**values, started_at=job.created_at, finished_at=job.created_at)
    job.refresh_from_db()
    return job


def test_an_empty_list_says_what_will_be_there():
    assert "No jobs yet" in page_of("member", "job-list")


def test_the_list_filters_by_state_and_tag():
    queued(title="on the processor")
    job_stop(job=queued(title="on the card", hardware_tag="cuda-a100"), actor=None)
    page = page_of("member", "job-list", state="stopped", tag="cuda-a100")
    assert "on the card" in page
    assert "on the processor" not in page
    assert "None of these" in page_of("member", "job-list", state="failed")
    live = page_of("member", "job-list", state="live")
    assert "on the processor" in live
    assert "every 3s" in live, "a list with a live job looks again by itself"


def test_a_job_shows_why_it_failed_its_charts_its_log_and_its_files(ran):
    page = page_of("member", "job-detail", ran.pk)
    assert "Row 3 is bad." in page
    assert "Mend it." in page
    assert 'data-chart="metric-0"' in page
    assert 'data-chart="telemetry-cpu"' in page
    assert "Energy cannot be read" in page
    assert "The &lt;b&gt;end&lt;/b&gt;" in page, "the last line too, though nothing ended it"
    assert "50%" not in page, "a progress bar shows as it last looked"
    assert "model/weights.bin" in page


def test_a_queued_job_without_a_worker_says_how_to_start_one():
    job = queued(hardware_tag="npu")
    assert "rlwhf worker --tags npu" in page_of("member", "job-detail", job.pk)
    now = timezone.now()
    Worker.objects.create(name="w", host="h", pid=1, tags=["npu"], started_at=now, seen_at=now)
    assert "rlwhf worker --tags npu" not in page_of("member", "job-detail", job.pk)


def test_a_queued_job_names_what_its_workers_are_busy_with_and_how_many_come_before_it():
    now = timezone.now()
    worker = Worker.objects.create(name="w", host="h", pid=1, tags=["cpu"], started_at=now, seen_at=now)
    held, first, second = queued(title="a model served"), queued(), queued(title="a verdict")
    about = {"worker": worker, "lease_token": "0" * 32, "lease_until": now, "started_at": now}
    Job.objects.filter(pk=held.pk).update(state="running", **about)
    page = page_of("member", "job-detail", second.pk)
    assert (
        'free <span class="mono">cpu</span> worker, 1 job before it. At work now: <a href="' in page and "a model served" in page
    )
    assert "0 job" not in page_of("member", "job-detail", first.pk)
    assert "At work now" not in page_of("member", "job-detail", held.pk)


def test_a_job_names_what_it_waits_for_and_what_waits_for_it():
    first = queued(title="first one")
    second = queued(title="second one", after=[first])
    assert "Waits for <a" in page_of("member", "job-detail", second.pk)
    assert "first one" in page_of("member", "job-detail", second.pk)
    assert "second one" in page_of("member", "job-detail", first.pk)


def test_a_job_of_a_kind_that_is_gone_still_has_a_page(ran):
    Job.objects.filter(pk=ran.pk).update(kind="gone.kind")
    assert "gone.kind" in page_of("member", "job-detail", ran.pk)


@pytest.mark.parametrize("fragment", ["job-state", "job-about", "job-metrics", "job-telemetry"])
def test_fragments_come_without_the_page(ran, fragment):
    assert "<html" not in page_of("member", fragment, ran.pk)


@pytest.mark.parametrize("name", ["job-detail", "job-state", "job-about", "job-metrics", "job-telemetry", "job-events"])
def test_jobs_are_for_members(ran, name):
    url = reverse(f"jobs:{name}", args=[ran.pk])
    assert client_of("annotator").get(url).status_code == 403
    assert client_of("member").get(url).status_code == 200
    assert Client().get(url).status_code == 302


@pytest.mark.parametrize("name", ["job-list", "worker-list"])
def test_lists_are_for_members(name):
    assert client_of("annotator").get(reverse(f"jobs:{name}")).status_code == 403


def test_only_admins_stop_and_queue_again():
    job = queued()
    for name in ("job-stop", "job-requeue"):
        url = reverse(f"jobs:{name}", args=[job.pk])
        assert client_of("member").post(url).status_code == 403
        assert client_of("admin").get(url).status_code == 405
    assert ">Stop<" not in page_of("member", "job-state", job.pk)
    assert ">Stop<" in page_of("admin", "job-state", job.pk)
    client_of("admin").post(reverse("jobs:job-stop", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == "stopped"
    assert ">Queue again<" in page_of("admin", "job-state", job.pk)
    client_of("admin").post(reverse("jobs:job-requeue", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == "queued"
    done = AuditEntry.objects.filter(actor__username="admin").values_list("action", flat=True)
    assert {"jobs.job_stopped", "jobs.job_requeued"} <= set(done)


def test_queueing_again_what_has_not_ended_says_why_not():
    page = client_of("admin").post(reverse("jobs:job-requeue", args=[queued().pk]), follow=True).text
    assert "only a failed or stopped job" in page


def test_a_button_leads_back_to_its_page_and_never_to_another_site():
    job, client = queued(), client_of("admin")
    url = reverse("jobs:job-stop", args=[job.pk])
    assert client.post(url, headers={"referer": "http://testserver/train/"}).url == "http://testserver/train/"
    assert client.post(url, headers={"referer": "https://elsewhere.example/"}).url == job.get_absolute_url()


def test_files_are_saved_and_never_shown(ran):
    answer = client_of("member").get(reverse("jobs:job-file", args=[ran.pk, "log.txt"]))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="log.txt"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.getvalue().startswith(b"begun")
    assert client_of("annotator").get(reverse("jobs:job-file", args=[ran.pk, "log.txt"])).status_code == 403


@pytest.mark.parametrize(
    "name",
    ["../secret", "..%2fsecret", "%2e%2e/secret", "//etc/passwd", "model/../../secret", "link", "links/secret", "model", "a%00b"],
)
def test_a_download_never_leaves_the_jobs_folder(ran, name):
    folder = Path(ran.folder)
    (folder.parent / "secret").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "links").symlink_to(folder.parent)
    assert client_of("member").get(f"/jobs/{ran.pk}/files/{name}").status_code == 404


def test_a_pipe_in_the_folder_is_no_file_and_does_not_block(ran):
    os.mkfifo(Path(ran.folder) / "pipe")
    assert client_of("member").get(reverse("jobs:job-file", args=[ran.pk, "pipe"])).status_code == 404
    assert ">pipe<" not in page_of("member", "job-detail", ran.pk)


@pytest.fixture
def pipeline() -> Pipeline:
    pipeline = pipeline_create(name="Atlas 1", kind="test", payload={}, actor=None)
    first = queued(title="Teach", pipeline=pipeline)
    queued(title="Answer", pipeline=pipeline, after=[first])
    return pipeline


def test_a_pipeline_shows_its_steps_in_order_and_looks_again_while_live(pipeline):
    page = page_of("member", "pipeline-detail", pipeline.pk)
    assert page.index("Teach") < page.index("Answer")
    assert "0 of 2 steps" in page
    assert "every 2s" in page
    assert ">Stop<" not in page


def test_a_pipeline_stops_as_a_whole_and_is_queued_again_as_a_whole(pipeline):
    stop, requeue = (reverse(f"jobs:pipeline-{what}", args=[pipeline.pk]) for what in ("stop", "requeue"))
    for url in (stop, requeue):
        assert client_of("member").post(url).status_code == 403
    client_of("admin").post(stop)
    assert {job.state for job in pipeline.jobs.all()} == {"stopped"}
    fragment = client_of("admin").get(reverse("jobs:pipeline-detail", args=[pipeline.pk]), headers={"hx-request": "true"}).text
    assert "<html" not in fragment
    assert "every 2s" not in fragment
    client_of("admin").post(requeue)
    assert {job.state for job in pipeline.jobs.all()} == {"queued"}


def test_workers_show_what_they_are_and_do():
    now = timezone.now()
    hardware = {"system": "Linux", "machine": "x86_64", "processor": "", "cores": 2, "usable_cores": 2.0, "memory_bytes": 2**33}
    hardware |= {"disk_free_bytes": 1, "gpus": [{"name": "NVIDIA H200", "memory_bytes": 139 * 2**30}]}
    worker = Worker.objects.create(name="w", host="box", pid=7, tags=["cpu"], hardware=hardware, started_at=now, seen_at=now)
    Worker.objects.create(name="o", host="gone", pid=8, tags=["cpu"], started_at=now, seen_at=now - timezone.timedelta(hours=1))
    Job.objects.filter(pk=queued().pk).update(state="running", worker=worker, lease_token="0" * 32, lease_until=now)
    queued(hardware_tag="mps")
    page = page_of("member", "worker-list")
    assert "1 worker alive" in page
    assert page.index("box") < page.index("gone")
    assert "Busy" in page
    assert "Lost" in page
    assert "NVIDIA H200" in page
    assert "rlwhf worker --tags mps" in page
