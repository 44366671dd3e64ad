"""Events about jobs, from a real server with a small connection pool, and as the poller makes them."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.roles import still_has_role
from jobs import live
from jobs.live import Event, positions_from, snapshot
from jobs.models import Job
from jobs.services import job_queue
from jobs.streams import LOG_TAIL, ROWS_AT_MOST
from tests.jobs.conftest import until

EVERYTHING = {"metrics": 0, "telemetry": 0, "log": 0}
CLIENTS = 24  # six times as many as the server's connections to the database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "1-1"
    folder.mkdir()
    return folder


def running(folder: Path) -> Job:
    job = job_queue(kind="test.python", title="a job", payload={"code": ""})
    values = {"state": "running", "lease_token": "0" * 32, "lease_until": timezone.now() + timezone.timedelta(hours=1)}
    Job.objects.filter(pk=job.pk).update(**values, folder=str(folder), attempt=1, started_at=timezone.now())
    job.refresh_from_db()
    return job


def append(folder: Path, first: int, last: int) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(f'{{"step": {step}, "loss": {1 / step}}}\n' for step in range(first, last + 1))


def end(job: Job, folder: Path) -> None:
    ended = {"state": "succeeded", "lease_token": None, "lease_until": None, "finished_at": timezone.now()}
    Job.objects.filter(pk=job.pk).update(**ended, folder=str(folder))


# What is told


def test_positions_that_make_no_sense_are_left_out():
    assert positions_from("metrics=12,log=3") == {"metrics": 12, "log": 3}
    assert positions_from("secrets=1, log=-4,telemetry=x,metrics=99999999999999999999,,") == {}


def test_the_id_of_an_event_holds_the_positions_after_it():
    encoded = Event("log", {"text": "a\nb"}, {"metrics": 3, "log": 9}).encode()
    assert encoded == b'id: log=9,metrics=3\nevent: log\ndata: {"text":"a\\nb"}\n\n'


@pytest.mark.django_db
def test_a_long_history_is_thinned_and_of_a_long_log_only_the_end_is_told(folder):
    append(folder, 1, 20_000)
    (folder / "log.txt").write_text("a line of a log\n" * 20_000)
    told = {event.name: event for event in snapshot(running(folder), EVERYTHING)}
    rows = told["metrics"].data["rows"]
    assert len(rows) <= ROWS_AT_MOST + 1
    assert (rows[0]["step"], rows[-1]["step"]) == (1, 20_000)
    assert len(told["log"].data["text"]) <= LOG_TAIL
    assert told["log"].positions["log"] == (folder / "log.txt").stat().st_size
    assert "telemetry" not in told


@pytest.mark.django_db
def test_only_the_streams_asked_for_are_told_of(folder):
    append(folder, 1, 3)
    assert [event.name for event in snapshot(running(folder), {"log": 0})] == ["state"]


@pytest.mark.django_db
def test_an_ended_job_says_so_last(folder):
    append(folder, 1, 3)
    job = running(folder)
    end(job, folder)
    job.refresh_from_db()
    assert [event.name for event in snapshot(job, {"metrics": 0})] == ["state", "metrics", "end"]


# How it is told: a real server


class Stream:
    """One client of the event stream."""

    def __init__(self, port: int, job: Job, cookie: str, query: str = "", last: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"} | ({"Last-Event-ID": last} if last else {})
        self.connection.request("GET", f"/jobs/{job.pk}/events{query}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()

    def close(self) -> None:
        self.answer.close()
        self.connection.close()

    def events(self) -> Iterator[tuple[str, str, Any]]:
        """(name, id, data) of each event until the server ends the stream."""
        name = where = ""
        for raw in iter(self.answer.readline, b""):
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                where = line[4:]
            elif line.startswith("data: "):
                yield name, where, json.loads(line[6:])

    def next(self, wanted: str) -> tuple[str, Any]:
        return next((where, data) for name, where, data in self.events() if name == wanted)


@pytest.fixture
def port(processes) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    processes.start("web", "--port", str(port), "--skip-checks")  # they would ask for a longer lease
    until(lambda: _answers(port), log=processes.log)
    return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def cookie(transactional_db) -> str:
    client = Client()
    client.force_login(User.objects.create_user("member", role="member"), backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def open_stream(port, cookie) -> Iterator[Callable[..., Stream]]:
    opened: list[Stream] = []

    def _open(job: Job, **more: str) -> Stream:
        opened.append(Stream(port, job, cookie, **more))
        return opened[-1]

    yield _open
    for one in opened:
        one.close()


def test_it_tells_what_is_new_follows_the_folder_and_ends_with_the_job(open_stream, folder, tmp_path):
    append(folder, 1, 3)
    job = running(folder)
    events = open_stream(job, query="?from=metrics%3D0,log%3D0").events()
    name, _, data = next(events)
    assert (name, data["state"]) == ("state", "running")
    _, _, data = next(events)
    assert [row["step"] for row in data["rows"]] == [1, 2, 3]
    append(folder, 4, 5)
    _, _, data = next(events)
    assert [row["step"] for row in data["rows"]] == [4, 5]
    moved = folder.rename(tmp_path / "published")
    (moved / "log.txt").write_text("the last words")
    append(moved, 6, 6)
    end(job, moved)
    rest = list(events)
    assert [name for name, _, _ in rest] == ["state", "metrics", "log", "end"]
    assert rest[0][2]["state"] == "succeeded"
    assert [row["step"] for row in rest[1][2]["rows"]] == [6]
    assert rest[2][2]["text"] == "the last words"


def test_a_client_that_comes_back_goes_on_where_it_was(open_stream, folder):
    append(folder, 1, 3)
    job = running(folder)
    first = open_stream(job, query="?from=metrics%3D0")
    where, _ = first.next("metrics")
    first.close()
    append(folder, 4, 6)
    _, data = open_stream(job, query="?from=metrics%3D0", last=where).next("metrics")
    assert [row["step"] for row in data["rows"]] == [4, 5, 6]


def test_many_watchers_take_no_connections_from_the_pool(open_stream, port, cookie, folder):
    job = running(folder)
    streams = [open_stream(job, query="?from=metrics%3D0") for _ in range(CLIENTS)]
    for stream in streams:
        stream.next("state")
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    for _ in range(8):
        connection.request("GET", f"/jobs/{job.pk}/state/", headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"})
        answer = connection.getresponse()
        assert (answer.status, b"Running" in answer.read()) == (200, True)
    connection.close()
    assert time.monotonic() - began < 8
    append(folder, 1, 1)
    assert all(stream.next("metrics")[1]["rows"] == [{"step": 1, "loss": 1.0}] for stream in streams)


# In this process: what goes wrong, and who may go on reading


def chunks(job: Job, *, most: int, may_see: Callable[[], bool] = lambda: True) -> list[bytes]:
    """The first `most` pieces of the job's stream, or fewer if it ends."""

    async def read() -> list[bytes]:
        found: list[bytes] = []
        async with aclosing(live.stream(job.pk, {"metrics": 0}, may_see=may_see)) as stream:
            async for chunk in stream:
                found.append(chunk)
                if len(found) == most:
                    break
        return found

    return async_to_sync(read)()


@pytest.mark.django_db(transaction=True)
def test_a_look_that_fails_is_logged_and_the_next_one_tells(folder, monkeypatch, caplog):
    append(folder, 1, 1)
    job, look, failures = running(folder), live._look, [ValueError("a row that nobody expected")]

    def fails_first(wanted):
        if failures:
            raise failures.pop()
        return look(wanted)

    monkeypatch.setattr(live, "_look", fails_first)
    assert b"event: metrics" in chunks(job, most=3)[-1]
    assert "a row that nobody expected" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_stream_ends_for_who_has_logged_out_or_is_switched_off(folder, monkeypatch, rf):
    monkeypatch.setattr(live, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(live, "KEEP_ALIVE_EVERY", 0.2)
    job, client, request = running(folder), Client(), rf.get("/")
    user = User.objects.create_user("member", role="member")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    request.session = client.session
    may_see = partial(still_has_role, request, "member")
    assert len(chunks(job, most=4, may_see=may_see)) == 4
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert len(chunks(job, most=4, may_see=may_see)) == 1
    User.objects.filter(pk=user.pk).update(is_active=True)
    assert len(chunks(job, most=2, may_see=may_see)) == 2
    client.logout()
    assert len(chunks(job, most=4, may_see=may_see)) == 1
