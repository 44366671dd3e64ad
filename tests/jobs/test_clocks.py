"""The database's clock is set while jobs run: real processes on a real server whose clock functions answer as they are told."""

import signal
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection

from jobs.clocks import ClockWatch
from jobs.models import Job, Worker
from jobs.selectors import live_workers, worker_list
from jobs.services import job_queue
from tests.jobs.conftest import database_url, until

CLOCKS = ("clock_timestamp", "statement_timestamp", "transaction_timestamp", "now")
HOUR = 3600


@pytest.fixture
def set_clock(transactional_db) -> Iterator[Callable[[int], None]]:
    """Sets the database's clock by so many seconds, for every connection that is opened from now on."""
    with psycopg.connect(database_url(), autocommit=True) as db:
        name = connection.settings_dict["NAME"]
        db.execute("CREATE SCHEMA set_clock")
        db.execute("CREATE TABLE set_clock.by AS SELECT 0 AS seconds")
        for clock in CLOCKS:
            db.execute(
                f"CREATE FUNCTION set_clock.{clock}() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ "
                f"SELECT pg_catalog.{clock}() + make_interval(secs => seconds) FROM set_clock.by $$"
            )
        # Named before the system's own functions, ours are found first.
        db.execute(f'ALTER DATABASE "{name}" SET search_path = set_clock, pg_catalog, public')
        try:
            yield lambda seconds: db.execute("UPDATE set_clock.by SET seconds = %s", (seconds,))
        finally:
            db.execute(f'ALTER DATABASE "{name}" RESET search_path')
            db.execute("DROP SCHEMA set_clock CASCADE")


def steps(folder, number: int) -> Job:
    return job_queue(kind="test.steps", title="steps", payload={"notes": str(folder / "notes"), "steps": number})


def state(job: Job) -> str:
    job.refresh_from_db()
    return job.state


@pytest.mark.full
def test_a_clock_that_is_set_forward_costs_nobody_a_job(set_clock, processes, tmp_path):
    processes.start("reconcile", "--every", "0.05")
    processes.start("worker", "--tags", "cpu")
    job = steps(tmp_path, 120)
    until(lambda: state(job) == "running", log=processes.log)
    until(lambda: "looking every" in processes.log(), log=processes.log)  # it has seen the clock as it was
    set_clock(HOUR)
    until(lambda: state(job) == "succeeded", log=processes.log)
    assert job.attempt == 1 and (tmp_path / "notes").read_text().count("start ") == 1
    assert [one["text"].split(":")[0] for one in job.notices] == [
        "The database's clock was set forward by about 60 min while it ran"
    ]


@pytest.mark.full
def test_after_a_clock_was_set_back_a_dead_worker_is_still_noticed(set_clock, processes, tmp_path):
    set_clock(HOUR)
    processes.start("reconcile", "--every", "0.2")
    first = processes.start("worker", "--tags", "cpu")
    job = steps(tmp_path, 100)
    until(lambda: state(job) == "running" and job.progress_done, log=processes.log)
    first.send_signal(signal.SIGSTOP)  # so that it does not renew once more
    set_clock(0)
    first.kill()
    processes.start("worker", "--tags", "cpu")
    until(lambda: state(job) == "succeeded", log=processes.log)
    assert job.attempt == 2 and (tmp_path / "notes").read_text().count("finished") == 1
    assert any("was lost" in one["text"] for one in job.notices)
    assert live_workers().count() == 1, "who was seen in the future is not alive for that"
    assert sum(row.is_alive for row in worker_list()) == 1 and Worker.objects.count() == 2


@pytest.mark.full
def test_a_message_sent_in_the_future_is_sent_again(set_clock, processes, tmp_path):
    set_clock(HOUR)
    job = steps(tmp_path, 1)
    Job.objects.filter(pk=job.pk).update(enqueued_at="2100-01-01T00:00:00Z")
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('dramatiq.queue')")
        if cursor.fetchone()[0]:
            cursor.execute("TRUNCATE dramatiq.queue")
    set_clock(0)
    processes.start("reconcile", "--every", "0.2")
    processes.start("worker", "--tags", "cpu")
    until(lambda: state(job) == "succeeded", log=processes.log)


@pytest.mark.django_db
def test_a_clock_that_goes_as_clocks_do_has_not_jumped():
    watch = ClockWatch()
    assert [watch.jumped() for _ in range(3)] == [0.0, 0.0, 0.0]
