"""Jobs over HTTP: the same services as the pages, behind the same roles."""

import pytest

from accounts import services as accounts
from accounts.models import AuditEntry
from jobs.models import Job
from jobs.services import job_queue, pipeline_create

pytestmark = pytest.mark.django_db


def bearer(role: str) -> dict[str, str]:
    user = accounts.user_create(username=f"{role}-caller", password="a long enough secret", role=role, actor=None)
    return {"authorization": f"Bearer {accounts.token_create(user=user, name='test', actor=user)[1]}"}


def queued(**more) -> Job:
    return job_queue(kind="test.python", payload={"code": ""}, **({"title": "Teach Atlas"} | more))


def test_jobs_are_listed_and_filtered(client):
    queued()
    queued(title="other", hardware_tag="npu")
    headers = bearer("member")
    assert client.get("/api/jobs", headers=headers).json()["count"] == 2
    items = client.get("/api/jobs", {"tag": "npu", "state": "live"}, headers=headers).json()["items"]
    assert [item["title"] for item in items] == ["other"]
    assert client.get("/api/jobs", {"state": "resting"}, headers=headers).status_code == 422


def test_a_job_is_told_with_what_it_waits_for(client):
    first = queued()
    second = queued(after=[first])
    answer = client.get(f"/api/jobs/{second.pk}", headers=bearer("member")).json()
    assert answer["after"] == [first.pk] and answer["state"] == "queued" and answer["payload"] == {"code": ""}


def test_an_admin_stops_and_requeues(client):
    job, headers = queued(), bearer("admin")
    assert client.post(f"/api/jobs/{job.pk}/requeue", headers=headers).status_code == 409
    assert client.post(f"/api/jobs/{job.pk}/stop", headers=headers).json()["state"] == "stopped"
    assert client.post(f"/api/jobs/{job.pk}/requeue", headers=headers).json()["state"] == "queued"
    assert AuditEntry.objects.filter(action="jobs.job_stopped", actor__username="admin-caller").count() == 1


@pytest.mark.parametrize(("role", "status"), [("annotator", 403), ("member", 403)])
def test_nobody_else_does(client, role, status):
    job, headers = queued(), bearer(role)
    assert client.post(f"/api/jobs/{job.pk}/stop", headers=headers).status_code == status
    job.refresh_from_db()
    assert job.state == "queued"


def test_annotators_read_nothing(client):
    headers = bearer("annotator")
    for url in ("/api/jobs", "/api/workers", "/api/pipelines", f"/api/jobs/{queued().pk}/metrics"):
        assert client.get(url, headers=headers).status_code == 403


def test_metrics_are_read_from_where_one_was(client, tmp_path):
    job, headers = queued(), bearer("member")
    assert client.get(f"/api/jobs/{job.pk}/metrics", headers=headers).json() == {"rows": [], "offset": 0}
    Job.objects.filter(pk=job.pk).update(folder=str(tmp_path))
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
    first = client.get(f"/api/jobs/{job.pk}/metrics", headers=headers).json()
    assert first["rows"] == [{"step": 1, "loss": 2.5}], "half a line is not told"
    file.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.0}\n')
    more = client.get(f"/api/jobs/{job.pk}/metrics", {"since": first["offset"]}, headers=headers).json()
    assert more["rows"] == [{"step": 2, "loss": 2.0}]


def test_a_pipeline_is_told_stopped_and_queued_again(client):
    pipeline = pipeline_create(name="Atlas 1", kind="test", payload={}, actor=None)
    steps = [queued(pipeline=pipeline)]
    steps.append(queued(pipeline=pipeline, after=steps))
    headers = bearer("admin")
    told = client.get(f"/api/pipelines/{pipeline.pk}", headers=headers).json()
    assert told["jobs"] == [job.pk for job in steps] and told["state"] == "queued"
    assert client.post(f"/api/pipelines/{pipeline.pk}/stop", headers=headers).json()["state"] == "stopped"
    assert client.post(f"/api/pipelines/{pipeline.pk}/requeue", headers=headers).json()["state"] == "queued"
    assert client.get("/api/pipelines", headers=headers).json()["count"] == 1
