"""What a person should know though a job went on: told by its child, or seen by its worker."""

import time
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from jobs import leases, runner
from jobs.child import NOTICES
from jobs.leases import LeaseLost
from jobs.models import Job, Worker
from jobs.runner import note_child, run_held
from jobs.services import job_queue

pytestmark = pytest.mark.django_db(transaction=True)

SAYS = """
import time
from jobs.child import report_notice, report_result
report_notice("The first checkpoint was damaged.")
time.sleep(1.5)
report_notice("So was the second.")
report_result({})
"""
LASTS = "import time; from jobs.child import report_result; time.sleep(4); report_result({})"


@pytest.fixture(autouse=True)
def home(settings, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("jobs.broker.send", lambda **_: None)
    settings.RLWHF_HOME = tmp_path / "home"


def carried_out(code: str) -> Job:
    job = job_queue(kind="test.python", title="a job", payload={"code": code})
    who = Worker.objects.create(name=str(uuid4()), host="h", pid=1, tags=["cpu"], started_at=Now(), seen_at=Now())
    run_held(leases.claim(worker=who, tags=["cpu"]), shutting_down=lambda: False)
    job.refresh_from_db()
    return job


def test_what_a_child_has_to_say_is_in_the_jobs_row_once_and_in_order():
    job = carried_out(SAYS)
    assert job.state == "succeeded"
    assert [one["text"] for one in job.notices] == ["The first checkpoint was damaged.", "So was the second."]
    assert abs(job.notices[0]["time"] - time.time()) < 60


def test_a_child_that_speaks_before_its_worker_listens_is_heard(monkeypatch):
    def noted_late(folder, *more):
        until = time.monotonic() + 30
        while not (folder / NOTICES).exists() and time.monotonic() < until:
            time.sleep(0.05)
        note_child(folder, *more)

    monkeypatch.setattr(runner, "note_child", noted_late)
    assert [one["text"] for one in carried_out(SAYS).notices] == ["The first checkpoint was damaged.", "So was the second."]


def test_a_child_that_never_stops_talking_does_not_fill_its_row():
    job = job_queue(kind="test.python", title="a job", payload={"code": ""})
    who = Worker.objects.create(name="w", host="h", pid=1, tags=["cpu"], started_at=Now(), seen_at=Now())
    held = leases.claim(worker=who, tags=["cpu"])
    for number in range(leases.NOTICES_KEPT + 10):
        leases.notice(held, f"word {number}")
    job.refresh_from_db()
    assert [one["text"] for one in job.notices] == [f"word {number}" for number in range(10, leases.NOTICES_KEPT + 10)]


def test_a_database_that_was_silent_is_told_of(monkeypatch):
    begun, renew = time.monotonic(), leases.renew

    def away_for_a_while(*arguments, **values):
        if 0.5 < time.monotonic() - begun < 2.5:
            raise OperationalError("the connection is lost")
        return renew(*arguments, **values)

    monkeypatch.setattr(leases, "renew", away_for_a_while)
    monkeypatch.setattr(runner, "SILENCE_TOLD", 1.5)
    job = carried_out(LASTS)
    assert job.state == "succeeded" and job.attempt == 1
    assert [one["text"].partition(" for")[0] for one in job.notices] == ["The database did not answer"]


def test_a_notice_of_somebody_who_lost_the_lease_is_not_written():
    job = job_queue(kind="test.python", title="a job", payload={"code": ""})
    who = Worker.objects.create(name="w", host="h", pid=1, tags=["cpu"], started_at=Now(), seen_at=Now())
    held = leases.claim(worker=who, tags=["cpu"])
    Job.objects.filter(pk=job.pk).update(lease_token=uuid4())
    with pytest.raises(LeaseLost):
        leases.notice(held, "too late")


def test_a_database_that_only_reads_is_as_good_as_away():
    """As a standby is, whose connections are left over from before another one took over."""
    who = Worker.objects.create(name="w", host="h", pid=1, tags=["cpu"], started_at=Now(), seen_at=Now())
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    mine = connection.connection
    with pytest.raises(OperationalError, match="read-only"):
        leases.claim(worker=who, tags=["cpu"])
    assert mine.closed, "the pool must not hand it out again"
    connection.close()
    assert leases.claim(worker=who, tags=["cpu"]) is None
