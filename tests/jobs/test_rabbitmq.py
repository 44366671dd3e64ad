"""The engine on RabbitMQ, where there is one: jobs run, and a broker that lost its queues loses no job."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import broker
from jobs.models import Job
from jobs.services import job_queue
from tests.jobs.conftest import Processes, until

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
pytest.importorskip("pika", reason="the rabbitmq extra is not installed")
pytestmark = [pytest.mark.full, pytest.mark.skipif(not Path(SERVER).exists(), reason="no RabbitMQ server on this machine")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Rabbit:
    """A RabbitMQ node of our own on free ports, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.epmd_port = free_port(), free_port()
        self.folder = folder
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users.guest = true\n")
        self.environment = os.environ | {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> None:
        log = (self.folder / "server.log").open("ab")
        with log:
            # A group of its own: the server is a shell, a virtual machine and its helpers.
            self.process = subprocess.Popen([SERVER], env=self.environment, stdout=log, stderr=log, start_new_session=True)
        until(self._answers, within=60, log=(self.folder / "server.log").read_text)

    def _answers(self) -> bool:
        try:
            broker.make_broker(self.url).close()
        except Exception:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        # Erlang's name server stays behind, and leaves only once it has noticed that its node is gone.
        until(self._name_server_left, within=10)

    def _name_server_left(self) -> bool:
        asked = ["epmd", "-port", str(self.epmd_port), "-kill"]
        said = subprocess.run(asked, env=self.environment, capture_output=True, check=False, text=True)
        return "Cannot connect" in said.stdout + said.stderr

    def forget(self) -> None:
        """What it had on disk is gone."""
        shutil.rmtree(self.folder / "data")


@pytest.fixture
def rabbit(tmp_path) -> Iterator[Rabbit]:
    server = Rabbit(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def test_jobs_run_through_rabbitmq_and_outlive_it(transactional_db, rabbit, tmp_path, settings):
    settings.BROKER_URL, settings.JOB_LEASE_SECONDS = rabbit.url, 2.0
    broker.the_broker.cache_clear()
    started = Processes(tmp_path, rabbit.url)
    try:
        _through_a_loss(started, rabbit, tmp_path)
    finally:
        started.end()
        broker.the_broker.cache_clear()


def _through_a_loss(processes: Processes, rabbit: Rabbit, folder: Path) -> None:
    def queue(number: int) -> None:
        for _ in range(number):
            job_queue(kind="test.steps", title="steps", payload={"notes": str(folder / "notes"), "steps": 30}, max_attempts=20)

    worker = processes.start("worker", "--tags", "cpu")
    processes.start("reconcile", "--every", "0.5")
    queue(3)
    until(lambda: Job.objects.filter(state="succeeded").exists(), within=60, log=processes.log)
    worker.kill()
    worker.wait()
    rabbit.kill()
    rabbit.forget()
    rabbit.start()
    queue(2)
    processes.start("worker", "--tags", "cpu")
    until(lambda: not Job.objects.exclude(state="succeeded").exists(), within=90, log=processes.log)
    finished = [line.split()[1] for line in (folder / "notes").read_text().splitlines() if line.startswith("finished")]
    assert sorted(finished) == sorted(set(finished)) and len(finished) == 5
