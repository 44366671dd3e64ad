"""`rlwhf up`: everything a site on one machine needs, started in order, watched, and stopped in order.

PostgreSQL, migrations, static files, the web server, the reconciler, a worker for each hardware tag found. All of it lives
in one state folder; a lock there lets one supervisor at a time work on it.
"""

import gc
import hashlib
import http.client
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import Error as DatabaseError
from django.db import connections

from accounts.setup_link import setup_link_token
from jobs.broker import make_broker
from rlwhf_site.address import Address
from rlwhf_site.database import why_unreachable, without_password
from rlwhf_site.home import running_site, write_private
from rlwhf_site.locks import try_lock
from rlwhf_site.postgres import EmbeddedPostgres, PostgresError
from rlwhf_site.processes import MARK, Child, Log, end_left_behind
from rlwhf_site.remote_access import ROLE, RemoteAccess, admit_workers
from rlwhf_site.settings import database
from rlwhf_site.web import port_is_free

LOOK_EVERY_S = 0.2
ROTATE_EVERY_S = 10.0
HEALTHY_WITHIN_S = 60.0
# Within this the web server and the reconciler have ended, or are ended.
QUICK_STOP_S = 3.0
# From here on a worker that still runs is one that waits for a checkpoint, and the person is told.
TELL_AFTER_S = 1.5
NEEDED_DISK_BYTES = 300 * 10**6


class UpError(Exception):
    """The site cannot start; one sentence that says why and what to do."""


class StopRequestedError(Exception):
    """Ctrl-C or SIGTERM while the site was still starting."""


@dataclass(frozen=True)
class Options:
    home: Path
    host: str
    port: int
    web_workers: int
    tags: list[str]
    database_url: str | None = None  # an external database; None = the embedded one
    database_listen: Address | None = None  # where workers on other hosts reach the embedded one; None = nowhere


@dataclass
class Supervisor:
    """One run of `rlwhf up`."""

    options: Options
    say: Callable[[str], object]
    postgres: EmbeddedPostgres | None = None
    postgres_log: Log | None = None
    children: list[Child] = field(default_factory=list)
    # Now, less what it took to get here: Python's start and the imports.
    began: float = field(default_factory=lambda: time.monotonic() - time.process_time())
    starting: bool = True
    stop_signals: int = 0

    @property
    def home(self) -> Path:
        return self.options.home

    @property
    def address(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.options.host, self.options.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{self.options.port}"

    def run(self) -> None:
        """Start, watch until asked to stop, stop. Raises UpError where the site cannot start."""
        with self._only_one(), self._signals():
            try:
                self._start()
                self._watch()
            except StopRequestedError:
                self.say("Stopping before the start was complete …")
            finally:
                self._stop()

    # Starting

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """Hold the state folder's lock and say who holds it; end what a crashed predecessor left."""
        try:
            lock = try_lock(self.home / "run" / "supervisor.lock")
        except OSError as error:
            raise UpError(
                f"The state folder {self.home} cannot be written ({error.strerror}): set RLWHF_HOME to another."
            ) from error
        if lock is None:
            raise UpError(self._already_running())
        state = self.home / "run" / "supervisor.json"
        with lock:
            if state.exists():
                self._say_left_behind(end_left_behind(self.home))
            self._check_disk_and_port()
            told = {"pid": os.getpid(), "address": self.address, "version": importlib.metadata.version("rlwhf")}
            write_private(state, json.dumps(told))
            try:
                yield
            finally:
                state.unlink(missing_ok=True)

    def _already_running(self) -> str:
        told = running_site(self.home) or {}
        where = f" (process {told['pid']}) at {told['address']}" if told else ""
        return f"RLWHF is already running{where} on {self.home}: stop it first, or set RLWHF_HOME to another folder."

    def _say_left_behind(self, count: int) -> None:
        if count:
            self.say(f"The last run ended without stopping: ended {count} of its processes.")

    def _check_disk_and_port(self) -> None:
        free = shutil.disk_usage(self.home).free
        if free < NEEDED_DISK_BYTES:
            raise UpError(
                f"The disk is full: {free / 10**6:.0f} MB are free at {self.home}; make room, or set RLWHF_HOME to another."
            )
        if not port_is_free(self.options.host, self.options.port):
            raise UpError(
                f"Port {self.options.port} on {self.options.host} is in use by another program: choose another, "
                f'as in `make run ARGS="--port {self.options.port + 1}"` or `rlwhf up --port {self.options.port + 1}`.'
            )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if name in signal.Signals.__members__]
        before = {name: signal.signal(signal.Signals[name], self._on_signal) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(signal.Signals[name], handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop_signals += 1
        if self.starting:
            self.starting = False
            raise StopRequestedError

    def _start(self) -> None:
        # Needs no database, and takes about as long as a first start of one.
        static = _InBackground(collect_static)
        use_database(self._start_database())
        if reason := why_unreachable():
            raise UpError(reason)
        static.wait()
        self._start_web()  # loads while the tables are made; it is announced only after that
        self._migrate()
        self._prepare_queue()
        self._admit_workers()
        token = setup_link_token()
        self._wait_until_healthy()
        elapsed = time.monotonic() - self.began
        self.say(f"RLWHF answers at {self.address}/ (started in {elapsed:.1f} s; state in {self.home}; Ctrl-C stops it)")
        if token:
            self.say(f"No admin yet. Become the first one at {self.address}/account/setup/{token}/")
        self._start_workers()  # last: on few cores they would keep the pages waiting
        self.starting = False

    def _start_database(self) -> str:
        if self.options.database_url:
            url = self.options.database_url
        else:
            self.postgres = EmbeddedPostgres(self.home, admits=ROLE if self.options.database_listen else None)
            try:
                url = self.postgres.start()
            except PostgresError as error:
                raise UpError(str(error)) from error
            self.postgres_log = Log.of_database(self.postgres.log)
        write_private(self.home / "run" / "database_url", url)
        return url

    def _migrate(self) -> None:
        # Migrations make classes of models anew by the thousand; to look through them for what is gone takes long.
        gc.disable()
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except DatabaseError as error:
            raise UpError(f"The database cannot be brought up to date: {str(error).strip().splitlines()[0]}") from error
        finally:
            gc.enable()
            gc.collect()

    def _prepare_queue(self) -> None:
        """Make its tables before several processes start at once and would each try to."""
        try:
            make_broker(settings.BROKER_URL).close()
        except Exception as error:  # each broker has its own exceptions
            where = without_password(settings.BROKER_URL)
            raise UpError(f"The queue {where} does not answer ({error}): check BROKER_URL.") from error

    def _admit_workers(self) -> None:
        """Open the embedded database to workers on other hosts, where that was asked for."""
        listen = self.options.database_listen
        if listen is None or self.postgres is None:
            return
        if not port_is_free(listen.host, listen.port):
            raise UpError(f"Port {listen.port} on {listen.host} is in use: name another in RLWHF_DATABASE_LISTEN.")
        access = RemoteAccess(self.home, listen)
        found = access.certificates()
        admit_workers(self.postgres.url, access.password)
        gate = ["-m", "rlwhf_site.database_gate", "--listen", str(listen), "--to", f"127.0.0.1:{self.postgres.port}"]
        self._add("database gate", [*gate, "--certificate", str(found.server), "--key", str(found.key)])

    def _start_web(self) -> None:
        options = self.options
        web = ["-m", "rlwhf_site.web", "--host", options.host, "--port", str(options.port)]
        self._add("web", [*web, "--web-workers", str(options.web_workers)])

    def _start_workers(self) -> None:
        self._add("reconciler", ["manage.py", "reconcile"])
        for tag in self.options.tags:
            self._add(f"worker {tag}", ["manage.py", "worker", "--tags", tag])

    def _add(self, name: str, arguments: list[str]) -> None:
        env = os.environ | {MARK: str(self.home), "PYTHONUNBUFFERED": "1", "RLWHF_HOME": str(self.home)}
        child = Child(
            name=name,
            command=[sys.executable, *arguments],
            log_folder=self.home / "logs",
            cwd=Path(settings.BASE_DIR),
            env=env,
        )
        self.children.append(child)
        child.start()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        web = self.children[0]
        while not answers(self.address):
            if not web.is_running():
                raise UpError(f"The web server did not start: {web.log.last_line()} (its log: {web.log.path})")
            if time.monotonic() > deadline:
                raise UpError(f"The web server did not answer within {HEALTHY_WITHIN_S:.0f} s (its log: {web.log.path})")
            self._look()
            time.sleep(0.05)

    # Watching

    def _watch(self) -> None:
        rotate_at = time.monotonic() + ROTATE_EVERY_S
        while not self.stop_signals:
            self._look()
            if time.monotonic() > rotate_at:
                self._rotate()
                rotate_at = time.monotonic() + ROTATE_EVERY_S
            time.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        """Show what the children's logs say that matters; start again what ended."""
        self._show_logs()
        if self.postgres is not None and self.postgres.has_ended():
            self._restart_postgres(self.postgres)
        for child in self.children:
            if news := child.look_after():
                self._tell(child.name, news)

    def _show_logs(self) -> None:
        logs = [(child.name, child.log) for child in self.children]
        if self.postgres_log is not None:
            logs.append(("database", self.postgres_log))
        for name, log in logs:
            for line in log.news():
                self._tell(name, line)

    def _restart_postgres(self, postgres: EmbeddedPostgres) -> None:
        self._tell("database", "ended; starting it again")
        try:
            postgres.start()
        except PostgresError as error:
            raise UpError(str(error)) from error

    def _tell(self, name: str, line: str) -> None:
        self.say(f"{name} | {line}")

    def _rotate(self) -> None:
        for log in [child.log for child in self.children] + ([self.postgres_log] if self.postgres_log else []):
            log.rotate()

    # Stopping

    def _stop(self) -> None:
        """Web, reconciler, workers (which hand their jobs back or wait for a checkpoint), then the database."""
        self.starting = False
        asked = self.stop_signals
        for child in self.children:
            child.ask_to_stop()
        started = time.monotonic()
        told = False
        while running := [child for child in self.children if child.is_running()]:
            waited = time.monotonic() - started
            if self.stop_signals > max(asked, 1) or waited > settings.JOB_STOP_GRACE_SECONDS + QUICK_STOP_S:
                self._kill(running)
                break
            if waited > QUICK_STOP_S:
                self._kill([child for child in running if not child.name.startswith("worker")])
            if waited > TELL_AFTER_S and not told:
                told = self._say_waiting(running)
            time.sleep(0.05)
        for child in self.children:
            child.kill()  # what their main processes may have left in their groups
        self._show_logs()
        (self.home / "run" / "database_url").unlink(missing_ok=True)
        connections.close_all()
        if self.postgres is not None:
            self.postgres.stop()
        self.say("Stopped.")

    def _say_waiting(self, running: list[Child]) -> bool:
        workers = [child.name for child in running if child.name.startswith("worker")]
        if workers:
            grace = settings.JOB_STOP_GRACE_SECONDS
            self.say(f"Waiting for a checkpoint: {', '.join(workers)} ({grace:.0f} s at most; Ctrl-C again stops at once)")
        return bool(workers)

    def _kill(self, children: list[Child]) -> None:
        for child in children:
            child.kill(with_descendants=True)


class _InBackground:
    """A function in a thread; `wait` returns when it has, and raises what it raised."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self.function = function
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.function()
        except Exception as error:  # handed to whoever waits
            self.error = error

    def wait(self) -> None:
        self.thread.join()
        if self.error is not None:
            raise UpError(f"The static files cannot be collected: {self.error}") from self.error


def use_database(url: str) -> None:
    """Point this process and its children at `url`: the settings were read before the embedded server had an address."""
    os.environ["DATABASE_URL"] = url
    if settings.BROKER_URL == settings.DATABASE_URL:
        settings.BROKER_URL = url
    settings.DATABASE_URL = url
    settings.DATABASES["default"] = database(url)
    connections.close_all()
    connections.settings = connections.configure_settings(settings.DATABASES)
    del connections["default"]


def collect_static() -> None:
    """Copy, hash and compress the static files, unless the very same ones were last time.

    Files of other versions stay where they are, so that pages already open in a browser keep working.
    """
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    digest = static_digest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(digest, encoding="ascii")


def static_digest() -> str:
    """Changes with any static file's path, size or time, and with the way they are stored."""
    parts = [settings.STORAGES["staticfiles"]["BACKEND"], importlib.metadata.version("servestatic")]
    for finder in get_finders():
        for path, storage in finder.list(None):
            found = Path(storage.path(path)).stat()
            parts.append(f"{path} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def answers(address: str) -> bool:
    """Whether something there speaks HTTP; what it says does not matter here."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=5)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/account/login/")
        connection.getresponse().read()
        return True
    return False
