"""Draining real workers: what they had goes where it should, and nobody waits for a message that they swallowed."""

import time
from pathlib import Path

import pytest

from jobs.models import Job, Usage, Worker
from jobs.selectors import live_workers
from jobs.services import job_queue
from jobs.steering import announce, queue_pause, queue_unpause, worker_drain, worker_undrain
from tests.jobs.conftest import until

RESULT = "import os, pathlib; pathlib.Path(os.environ['JOB_FOLDER'], 'result.json').write_text('{}')"


def state(job: Job) -> str:
    job.refresh_from_db()
    return job.state


@pytest.mark.full
def test_a_drained_worker_hands_its_job_to_another_which_goes_on_with_it(processes, tmp_path):
    processes.start("worker", "--tags", "cpu")
    job = job_queue(kind="test.steps", title="steps", payload={"notes": str(tmp_path / "notes"), "steps": 160})
    until(lambda: state(job) == "running" and job.progress_done, log=processes.log)
    first = Worker.objects.get()
    worker_drain(worker=first, actor=None, hand_back=True)
    until(lambda: state(job) == "queued", within=10, log=processes.log)
    assert job.attempt == 0, "who hands back has not failed"
    processes.start("worker", "--tags", "cpu")
    until(lambda: state(job) == "succeeded", log=processes.log)
    assert job.worker_id != first.pk and job.result["began_at"] > 0
    first.refresh_from_db()
    assert first.ended_at is None, "it lives, and takes nothing"


@pytest.mark.full
def test_a_worker_that_is_soon_undrained_takes_its_job_up_again_once(processes, tmp_path):
    processes.start("worker", "--tags", "cpu")
    job = job_queue(kind="test.steps", title="steps", payload={"notes": str(tmp_path / "notes"), "steps": 160})
    until(lambda: state(job) == "running" and job.progress_done, log=processes.log)
    worker_drain(worker=Worker.objects.get(), actor=None, hand_back=True)
    until(lambda: state(job) == "queued", within=10, log=processes.log)
    worker_undrain(worker=Worker.objects.get(), actor=None)
    announce(["cpu"])
    until(lambda: state(job) == "succeeded", log=processes.log)
    assert Usage.objects.filter(job=job).count() == 2, "it is not handed back time and again until the next beat"


@pytest.mark.full
def test_a_drained_worker_ends_what_it_has_and_takes_jobs_again_when_it_may(processes, tmp_path):
    processes.start("worker", "--tags", "cpu")
    job = job_queue(kind="test.steps", title="steps", payload={"notes": str(tmp_path / "notes"), "steps": 60})
    until(lambda: state(job) == "running", log=processes.log)
    worker_drain(worker=Worker.objects.get(), actor=None)
    until(lambda: state(job) == "succeeded", log=processes.log)
    waits = [job_queue(kind="test.python", title="waits", payload={"code": RESULT}) for _ in range(2)]
    time.sleep(6)  # longer than a heartbeat
    assert {state(one) for one in waits} == {"queued"}
    worker_undrain(worker=Worker.objects.get(), actor=None)
    until(lambda: {state(one) for one in waits} == {"succeeded"}, log=processes.log)


@pytest.mark.full
def test_a_drained_worker_does_not_keep_the_messages_from_those_that_work(processes, tmp_path):
    """Without a reconciler nothing would be sent again: each job must be heard of by the one that takes jobs."""
    for _ in range(2):
        processes.start("worker", "--tags", "cpu")
    until(lambda: live_workers().count() == 2, log=processes.log)
    worker_drain(worker=live_workers()[0], actor=None)
    for _ in range(6):
        job = job_queue(kind="test.python", title="one at a time", payload={"code": RESULT})
        until(lambda job=job: state(job) == "succeeded", within=20, log=processes.log)


@pytest.mark.full
def test_what_was_queued_in_a_paused_queue_begins_when_it_moves_again(processes, tmp_path: Path):
    processes.start("worker", "--tags", "cpu")
    until(lambda: live_workers().exists(), log=processes.log)
    queue_pause(tag="cpu", actor=None)
    jobs = [job_queue(kind="test.python", title="waits", payload={"code": RESULT}) for _ in range(3)]
    time.sleep(1)  # the messages about them are heard, and nobody may act on them
    assert {state(job) for job in jobs} == {"queued"}
    queue_unpause(tag="cpu", actor=None)
    until(lambda: {state(job) for job in jobs} == {"succeeded"}, log=processes.log)
