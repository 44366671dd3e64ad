"""Models that a job serves: the child itself with a real tiny model, and who may have one served when."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
from django.db.models.functions import Now

from accounts.models import AuditEntry, User
from evaluation.chatting.jobs import KIND, serving_key
from evaluation.chatting.selectors import chat_models, serving_of
from evaluation.chatting.services import ServingRefused, serving_start, serving_stop
from evaluation.model_hash import model_hash
from evaluation.serving.places import ADDRESS, KEY_VARIABLE, REQUEST
from jobs.child import read_json
from jobs.kinds import kind_of
from jobs.models import Job, State, Worker
from jobs.steering import queue_pause
from tests.jobs.conftest import until
from training.models import Artifact

ROOT = Path(__file__).parents[3]
KEY = "one-for-this-job"


@contextmanager
def child(folder: Path, taught: Path, *, idle_s: float, key: str = KEY) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    (folder / REQUEST).write_text(json.dumps({"models": {"tiny": str(taught)}, "idle_s": idle_s}))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "evaluation.serving.job", str(folder)],
            cwd=folder,
            env=os.environ | {KEY_VARIABLE: key, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.full
def test_it_says_where_it_answers_asks_for_its_key_and_ends_when_nobody_asks(tmp_path: Path, taught: Path) -> None:
    folder = tmp_path / "job"
    with child(folder, taught, idle_s=2) as process:
        until((folder / ADDRESS).exists, within=60, log=(folder / "log.txt").read_text)
        told = read_json(folder / ADDRESS)
        assert told["models"] == {"tiny": model_hash(str(taught))} and told["host"] == socket.gethostname()
        assert told["address"].startswith("http://127.0.0.1:")
        stranger = openai.OpenAI(base_url=told["address"], api_key="another", max_retries=0)
        with stranger, pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        with openai.OpenAI(base_url=told["address"], api_key=KEY, max_retries=0) as client:
            message = [{"role": "user", "content": "Where was Ada born?"}]
            said = client.chat.completions.create(model="tiny", messages=message, temperature=0)  # type: ignore[arg-type]
        assert said.choices[0].message.content == "In London."
        assert process.wait(20) == 0, "idle for two seconds"
    assert read_json(folder / "result.json")["answers"] >= 1
    assert not (folder / ADDRESS).exists()
    assert KEY not in (folder / "log.txt").read_text() + (folder / REQUEST).read_text()


@pytest.mark.full
def test_it_ends_with_its_worker_and_refuses_to_serve_without_a_key(tmp_path: Path, taught: Path) -> None:
    folder = tmp_path / "stopped"
    with child(folder, taught, idle_s=600) as process:
        until((folder / ADDRESS).exists, within=60, log=(folder / "log.txt").read_text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143, "as a job that was stopped"
        assert not (folder / ADDRESS).exists()
    with child(tmp_path / "keyless", taught, idle_s=600, key="") as process:
        assert process.wait(30) == 1
        assert "key" in read_json(tmp_path / "keyless" / "failure.json")["reason"]


def worker(tags: list[str], memory_free: int | None = None) -> Worker:
    hardware = {} if memory_free is None else {
        "system": "Linux", "machine": "x", "processor": "x", "cores": 2, "usable_cores": 2.0, "memory_bytes": 2**34,
        "disk_free_bytes": 2**34, "memory_free_bytes": memory_free,
    }  # fmt: skip
    return Worker.objects.create(
        name=f"w{time.monotonic_ns()}", host="here", pid=1, tags=tags, hardware=hardware, started_at=Now(), seen_at=Now()
    )


def held(job: Job, by: Worker, folder: Path) -> Job:
    """As if that worker served the job in that folder."""
    import uuid

    Job.objects.filter(pk=job.pk).update(
        state=State.RUNNING, worker=by, folder=str(folder), lease_token=uuid.uuid4(), lease_until=Now()
    )
    job.refresh_from_db()
    return job


def test_two_models_are_served_by_one_job_and_asked_for_twice_by_no_second(
    tiny: Artifact, taught: Path, tmp_path: Path, django_user_model: type[User]
) -> None:
    from training.services import artifact_register

    artifact_register(name="twin", folder=taught, actor=None)
    worker(["cpu"])
    mo = django_user_model.objects.create_user("mo", role="member")
    job = serving_start(names=["tiny", "twin"], actor=mo)
    assert job is not None and job.payload["models"] == ["tiny", "twin"] and job.hardware_tag == "cpu"
    assert serving_start(names=["twin"], actor=mo) is None
    assert serving_of("tiny").state == "waiting"
    launch = kind_of(KIND).launch(job, tmp_path)
    assert read_json(tmp_path / REQUEST)["models"] == {"tiny": str(taught), "twin": str(taught)}
    assert launch.env[KEY_VARIABLE] == serving_key(job)
    shown = json.dumps([job.payload, launch.argv]) + (tmp_path / REQUEST).read_text()
    assert serving_key(job) not in shown, "the key travels by the environment alone"
    (tmp_path / ADDRESS).write_text(
        json.dumps({"address": "http://127.0.0.1:9/v1", "host": socket.gethostname(), "models": {"tiny": "a", "twin": "b"}})
    )
    held(job, worker(["cpu"]), tmp_path)
    assert (serving_of("twin").state, serving_of("twin").digest) == ("ready", "b")
    (tmp_path / ADDRESS).write_text(json.dumps({"address": "http://127.0.0.1:9/v1", "host": "far", "models": {}}))
    assert "far" in serving_of("twin").reason
    assert serving_stop(name="twin", actor=mo).state == State.STOPPING  # type: ignore[union-attr]
    assert AuditEntry.objects.filter(actor=mo, action="jobs.job_stopped").exists()


def test_no_serving_without_a_worker_that_is_free_and_has_the_memory(tiny: Artifact, tmp_path: Path) -> None:
    def refusal(**more: str) -> str:
        with pytest.raises(ServingRefused) as refused:
            serving_start(names=["tiny"], actor=None, **more)
        return str(refused.value)

    assert "No worker takes cpu jobs now. Start one" in refusal()
    small = worker(["cpu"], memory_free=100 * 2**20)
    assert "tiny would take about 0.6 GiB of memory" in refusal() and "0.1 GiB free" in refusal()
    assert "Workers take cpu now" in refusal(tag="cuda-a100")
    assert "is no hardware" in refusal(tag="abacus")
    roomy = worker(["cpu"], memory_free=2**33)
    queue_pause(tag="cpu", actor=None, reason="Cleaning.")
    assert "paused by the shell. Cleaning." in refusal()
    from jobs.steering import queue_unpause

    queue_unpause(tag="cpu", actor=None)
    for one in (small, roomy):
        held(Job.objects.create(kind="training.run", title="Long run", payload={}, hardware_tag="cpu"), one, tmp_path)
    assert "Every cpu worker is at work: “Long run”, “Long run”. Wait" in refusal()
    with pytest.raises(ServingRefused, match="no model named “nobody”"):
        serving_start(names=["nobody"], actor=None)
    assert not Job.objects.filter(kind=KIND).exists()


def test_a_serving_that_failed_says_why(tiny: Artifact) -> None:
    worker(["cpu"])
    job = serving_start(names=["tiny"], actor=None)
    assert job is not None
    Job.objects.filter(pk=job.pk).update(state=State.FAILED, reason="Out of memory.", hint="Take a smaller one.")
    found = serving_of("tiny")
    assert (found.state, found.hint) == ("none", "Take a smaller one.") and "Out of memory." in found.reason
    assert [(one.name, one.kind) for one in chat_models()] == [("tiny", "model")]
    assert serving_start(names=["tiny"], actor=None) is not None, "it may be tried again"
