"""Workers killed at random and the queue wiped: every job still completes exactly once."""

import os
import random
import signal
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

from django.db import connection

from jobs.models import Job
from jobs.services import job_queue
from tests.jobs.conftest import until

JOBS, WORKERS, KILLS = 30, 3, 8


def test_thirty_jobs_complete_exactly_once_through_kills_and_a_wiped_queue(processes, tmp_path):
    notes = tmp_path / "notes"
    for _ in range(JOBS):
        job_queue(kind="test.steps", title="steps", payload={"notes": str(notes), "steps": 20}, max_attempts=50)
    workers = [processes.start("worker", "--tags", "cpu") for _ in range(WORKERS)]
    processes.start("reconcile", "--every", "0.5")
    chance = random.Random(7)
    for kill in range(KILLS):
        time.sleep(chance.uniform(1.0, 2.0))
        victim = chance.randrange(WORKERS)
        os.kill(workers[victim].pid, signal.SIGKILL)
        workers[victim] = processes.start("worker", "--tags", "cpu")
        if kill == KILLS // 2:
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE dramatiq.queue")
    until(lambda: not Job.objects.exclude(state="succeeded").exists(), within=120, log=processes.log)
    check_exactly_once(notes)


def check_exactly_once(notes: Path) -> None:
    """Each job has finished once, and no two of its children were at work at the same time."""
    finished = Counter()
    spans = defaultdict(dict)
    for line in notes.read_text().splitlines():
        word, job, *rest = line.split()
        if word == "finished":
            finished[job] += 1
            continue
        pid, at = rest[0], float(rest[1])
        begin, _ = spans[job].get(pid, (at, at))
        spans[job][pid] = (begin, at)
    assert len(finished) == JOBS and set(finished.values()) == {1}
    assert any(len(children) > 1 for children in spans.values()), "no job was interrupted: the test tests nothing"
    for children in spans.values():
        in_order = sorted(children.values())
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(in_order)), "two children worked at once"
