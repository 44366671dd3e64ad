"""`rlwhf jobs`: the engine from the shell."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry, User
from jobs.models import Job
from jobs.services import job_queue

pytestmark = pytest.mark.django_db


def jobs(*arguments: object) -> str:
    out = StringIO()
    call_command("jobs", *map(str, arguments), stdout=out)
    return out.getvalue()


def queued(**more) -> Job:
    return job_queue(kind="test.python", payload={"code": ""}, **({"title": "Teach Atlas"} | more))


def test_list_and_show():
    job = queued()
    queued(title="other", hardware_tag="npu")
    assert "Teach Atlas" in jobs("list") and "other" not in jobs("list", "--tag", "cpu")
    assert "test.python" in jobs("show", job.pk)


def test_stop_and_requeue_act_for_a_person():
    job = queued()
    User.objects.create_user("ada", role="admin")
    assert "stopped" in jobs("stop", job.pk, "--user", "ada")
    assert "queued" in jobs("requeue", job.pk)
    assert list(AuditEntry.objects.order_by("id").values_list("action", "actor__username")) == [
        ("jobs.job_queued", None),
        ("jobs.job_stopped", "ada"),
        ("jobs.job_requeued", None),
    ]
    with pytest.raises(CommandError, match="only a failed or stopped"):
        jobs("requeue", job.pk)


def test_follow_ends_with_the_job_and_fails_with_it():
    job = queued()
    jobs("stop", job.pk)
    with pytest.raises(CommandError, match="stopped"):
        jobs("follow", job.pk)


def test_a_job_that_is_none():
    with pytest.raises(CommandError, match="no job 7"):
        jobs("show", 7)
