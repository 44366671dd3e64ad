"""What is measured, to take away: CSV, PNG, and Prometheus' text; pages, API and commands."""

import csv
import io
import json
import struct
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts import services as accounts
from accounts.models import User
from jobs.alerting.rules import DIVERGED, Finding
from jobs.alerting.services import alert_open
from jobs.figures import Chart
from jobs.models import Job, Usage, Worker
from jobs.monitoring.prometheus import exposition
from jobs.monitoring.snapshots import draw
from jobs.services import job_queue

pytestmark = pytest.mark.django_db
SAMPLE = {"time": 1_700_000_000.5, "cpu_percent": 98.5, "rss_bytes": 2**30, "gpus": None, "watts": None, "energy_joules": None}
CARD = {"index": 0, "percent": 50, "memory_bytes": 2**20, "watts": 70.0}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = job_queue(kind="test.python", title="Teach Ätlas", payload={"code": ""})
    rows = [{"step": n, "time": 1e9 + n, "loss": 1 / n} | ({"eval_loss": 0.5} if n == 3 else {}) for n in (1, 2, 3)]
    rows[2]["=cmd|'/C calc'!A0"] = 1.0
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = [SAMPLE, SAMPLE | {"time": 1_700_000_060.5, "gpus": [CARD], "watts": 120.5, "tokens_per_second": 800.0}]
    (tmp_path / "telemetry.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    Job.objects.filter(pk=job.pk).update(folder=str(tmp_path), started_at=timezone.now())
    return Job.objects.get(pk=job.pk)


def client_of(role: str) -> Client:
    client = Client()
    user = User.objects.filter(username=role).first() or User.objects.create_user(role, role=role)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def bearer(role: str) -> dict[str, str]:
    user = accounts.user_create(username=f"{role}-caller", password="a long enough secret", role=role, actor=None)
    return {"authorization": f"Bearer {accounts.token_create(user=user, name='test', actor=user)[1]}"}


def table_of(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def test_a_table_holds_every_row_and_nothing_where_nothing_was_measured(job):
    answer = client_of("member").get(reverse("jobs:job-csv", args=[job.pk, "metrics"]))
    assert answer["Content-Disposition"] == f'attachment; filename="{job.pk}-teach-atlas-metrics.csv"'
    rows = table_of(answer)
    assert [row["loss"] for row in rows] == ["1", "0.5", repr(1 / 3)]
    assert [row["eval_loss"] for row in rows] == ["", "", "0.5"]
    assert "'=cmd|'/C calc'!A0" in rows[0], "no spreadsheet takes a heading for a formula"
    samples = table_of(client_of("member").get(reverse("jobs:job-csv", args=[job.pk, "telemetry"])))
    assert [row["time"] for row in samples] == ["1700000000.5", "1700000060.5"]
    assert [row["watts"] for row in samples] == ["", "120.5"] and samples[1]["gpu0_watts"] == "70"


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


@pytest.mark.full
def test_a_picture_has_the_charts_in_both_themes(job):
    url = reverse("jobs:job-png", args=[job.pk, "telemetry"])
    light, dark = (client_of("member").get(url, {"theme": theme}) for theme in ("light", "dark"))
    assert light["Content-Type"] == "image/png" and size_of(light.content)[0] == 1200
    assert light.content != dark.content
    assert size_of(light.content)[1] > 900, "as many rows as the charts need"


def test_a_picture_of_nothing_says_so_and_a_line_that_ends_is_drawn():
    assert size_of(draw([], title="x", about="y", theme="light"))[0] == 1200
    line = {"x": [0, 1], "y": [1, None], "mode": "lines", "name": "training"}
    chart = Chart("a", "loss", {"data": [line, line | {"name": "held out"}], "layout": {}}, ["step", "loss"], [])
    assert size_of(draw([chart] * 3, title="$\\frac{$ 100%", about="y", theme="dark"))[1] > 500


@pytest.mark.parametrize("name", ["job-csv", "job-png"])
def test_what_is_measured_is_for_members(job, name):
    url = reverse(f"jobs:{name}", args=[job.pk, "metrics"])
    assert client_of("annotator").get(url).status_code == 403
    assert Client().get(url).status_code == 302
    assert client_of("member").get(reverse(f"jobs:{name}", args=[job.pk, "log"])).status_code == 404


def test_over_http_and_from_the_shell_it_is_the_same(job, tmp_path):
    headers, client = bearer("member"), Client()
    over_http = client.get(f"/api/jobs/{job.pk}/metrics.csv", headers=headers).getvalue()
    assert size_of(client.get(f"/api/jobs/{job.pk}/telemetry.png", headers=headers).content)[0] == 1200
    assert client.get(f"/api/jobs/{job.pk}/log.csv", headers=headers).status_code == 422
    call_command(
        "telemetry", job.pk, "--stream", "metrics", "--csv", tmp_path / "a.csv", "--png", tmp_path / "a.png", stdout=io.StringIO()
    )
    assert (tmp_path / "a.csv").read_bytes() == over_http
    assert size_of((tmp_path / "a.png").read_bytes())[0] == 1200
    with pytest.raises(CommandError, match="could not be written"):
        call_command("telemetry", job.pk, "--csv", tmp_path / "no" / "a.csv")
    with pytest.raises(CommandError, match="no job"):
        call_command("telemetry", 0)


def test_usage_is_told_over_http_and_in_the_shell(job):
    Usage.objects.create(job=job, hardware_tag="cpu", attempt=1, started_at=timezone.now(), seconds=90.0, energy_joules=7.2e6)
    told = Client().get(f"/api/jobs/{job.pk}/usage", headers=bearer("member")).json()
    assert (told["kwh"], told["cost"], told["unknown"]) == (2.0, None, ["price"])
    call_command("prices", "set", "cpu", "--hour", "2", "--currency", "EUR", stdout=io.StringIO())
    said = io.StringIO()
    call_command("telemetry", job.pk, stdout=said)
    assert "1 min 30 s" in said.getvalue() and "0.0500 EUR" in said.getvalue() and "2 kWh" in said.getvalue()
    assert "tokens_per_second        800" in said.getvalue()


def test_prices_and_hooks_over_http(job):
    headers, client = bearer("admin"), Client()

    def post(address: str, /, **body):
        return client.post(address, json.dumps(body), content_type="application/json", headers=headers)

    made = post("/api/prices", hardware_tag="cpu", currency="EUR", per_hour="0.5")
    assert made.status_code == 201 and made.json()["per_hour"] == "0.500000"
    assert "no hardware tag" in post("/api/prices", hardware_tag="x", currency="EUR", per_hour="1").json()["detail"]
    assert client.delete(f"/api/prices/{made.json()['id']}", headers=headers).status_code == 204
    assert post("/api/alert-hooks", url="https://alerts.example.org/").status_code == 422
    post("/api/hosts", host="alerts.example.org")
    hook = post("/api/alert-hooks", url="https://alerts.example.org/").json()
    assert hook["secret"].startswith("whsec_")
    assert post(f"/api/alert-hooks/{hook['id']}/try").status_code == 202
    (listed,) = client.get("/api/alert-hooks", headers=headers).json()
    assert listed["pending"] == 1 and "secret" not in listed
    alert = alert_open(subject=f"job {job.pk}", finding=Finding(DIVERGED, "…", ""), job=job)
    assert post(f"/api/alerts/{alert.pk}/acknowledge").json()["acknowledged_by"] == "admin-caller"
    assert client.get("/api/alerts", {"state": "new"}, headers=headers).json()["count"] == 0
    assert client.get("/api/alerts", {"state": "open"}, headers=headers).json()["items"][0]["job"] == job.pk


def test_alerts_in_the_shell(job):
    def alerts(*arguments: object) -> str:
        said = io.StringIO()
        call_command("alerts", *map(str, arguments), stdout=said)
        return said.getvalue()

    alert = alert_open(subject=f"job {job.pk}", finding=Finding(DIVERGED, "the loss is nan", ""), job=job)
    assert "the loss is nan" in alerts("list")
    alerts("acknowledge", alert.pk)
    assert "(seen)" in alerts("list", "--all")
    with pytest.raises(CommandError, match="may not call"):
        alerts("tell", "https://alerts.example.org/")
    call_command("hosts", "allow", "alerts.example.org", stdout=io.StringIO())
    assert "whsec_" in alerts("tell", "https://alerts.example.org/", "--rule", "diverged")
    alerts("try", "https://alerts.example.org/")
    assert "diverged" in alerts("hooks")
    alerts("tell-no-more", "https://alerts.example.org/")
    with pytest.raises(CommandError, match="is not told"):
        alerts("try", "https://alerts.example.org/")


# Prometheus


def families() -> dict[str, list]:
    return {one.name: one.samples for one in text_string_to_metric_families(exposition().decode())}


def value(family: str, /, **labels: str) -> float:
    (found,) = [one.value for one in families()[family] if labels.items() <= one.labels.items()]
    return found


def test_the_figures_are_read_back_by_prometheus_own_parser(job):
    now = timezone.now()
    worker = Worker.objects.create(
        name="w1", host="h", pid=1, tags=["cpu", "site"], started_at=now, seen_at=now, hardware={"disk_free_bytes": 5}
    )
    job_queue(kind="test.python", title="waits", payload={"code": ""}, hardware_tag="npu")
    held = {"state": "running", "lease_token": uuid.uuid4(), "worker": worker, "progress_done": 1, "progress_total": 4}
    Job.objects.filter(pk=job.pk).update(**held)
    alert_open(subject="job 1", finding=Finding(DIVERGED, "…", ""))
    assert value("rlwhf_jobs", state="queued", tag="npu") == 1
    assert value("rlwhf_queue_oldest_seconds", tag="npu") >= 0
    assert value("rlwhf_worker_up", worker="w1", tags="cpu,site") == value("rlwhf_worker_busy", worker="w1") == 1
    assert value("rlwhf_alerts_open", rule="diverged") == 1 and value("rlwhf_alerts_open", rule="disk-low") == 0
    assert value("rlwhf_job_progress_ratio", job=str(job.pk), title="Teach Ätlas") == 0.25
    assert value("rlwhf_job_power_watts") == 120.5 and value("rlwhf_job_cpu_ratio") == 0.985
    assert value("rlwhf_job_gpu_ratio", gpu="0") == 0.5
    assert value("rlwhf_job_metric", name="eval_loss") == 0.5


def test_a_worker_that_is_drained_is_up_until_it_is_missed():
    now = timezone.now()
    worker = Worker.objects.create(name="w1", host="h", pid=1, tags=["cpu"], started_at=now, seen_at=now, drained_at=now)
    assert (value("rlwhf_worker_up"), value("rlwhf_worker_busy")) == (1, 0)
    Worker.objects.filter(pk=worker.pk).update(seen_at=now - timedelta(minutes=5))
    assert value("rlwhf_worker_up") == 0 and families()["rlwhf_worker_busy"] == []


def test_what_is_not_known_has_no_line(job):
    Job.objects.filter(pk=job.pk).update(state="running", lease_token=uuid.uuid4())
    assert families()["rlwhf_job_energy_joules"] == [] and families()["rlwhf_usage_kwh"] == []


def test_a_speed_of_an_earlier_sample_is_not_told_as_that_of_now(job):
    Job.objects.filter(pk=job.pk).update(state="running", lease_token=uuid.uuid4())
    assert value("rlwhf_job_tokens_per_second") == 800
    with Path(job.folder, "telemetry.jsonl").open("a") as file:
        file.write(json.dumps(SAMPLE) + "\n")
    assert families()["rlwhf_job_tokens_per_second"] == []


def test_figures_are_for_members_by_token_or_in_the_browser():
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"authorization": "Bearer nonsense"}).status_code == 401
    assert Client().get("/metrics", headers=bearer("annotator")).status_code == 403
    assert client_of("annotator").get("/metrics").status_code == 403
    assert client_of("member").get("/metrics").status_code == 200
    answer = Client().get("/metrics", headers=bearer("member"))
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4") and b"rlwhf_alerts_open" in answer.content
    assert Client().post("/metrics", headers=bearer("admin")).status_code == 405
