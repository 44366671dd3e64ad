"""The supervisor's children: starting, watching, ending them, and keeping their logs small."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

LOG_LIMIT_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
# A process that ran this long before it ended had started well: its next restart need not wait.
SETTLED_S = 60.0
# Marks every process that belongs to the supervisor of a state folder, so that the next one finds what a crash left.
MARK = "RLWHF_SUPERVISED_HOME"
LINES_PER_LOOK = 20
LINE_LENGTH = 220

_WORTH_SHOWING = re.compile(r"(?:^|[\s\[])(WARNING|ERROR|CRITICAL|FATAL|PANIC)\b")
_TIME = re.compile(r"^\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?: ?[+-]\d{4}| UTC)?\]?\s*")
# A statement refused by a constraint is the caller's business, who reports it; of PostgreSQL only its own troubles matter.
_DATABASE_SHOWN = re.compile(r"\b(FATAL|PANIC):")


class Log:
    """A process's log file: what is new in it and worth a person's attention, and its rotation."""

    def __init__(self, path: Path, *, pattern: re.Pattern[str] = _WORTH_SHOWING) -> None:
        self.path = path
        self.pattern = pattern
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.position = path.stat().st_size
        self.partial = b""

    @classmethod
    def of_database(cls, path: Path) -> "Log":
        return cls(path, pattern=_DATABASE_SHOWN)

    def news(self) -> list[str]:
        """The lines written since the last look that matter, without their time, cut to a screen's width."""
        size = self.path.stat().st_size
        if size == self.position:
            return []
        self.position = min(self.position, size)
        with self.path.open("rb") as file:
            file.seek(self.position)
            text = self.partial + file.read()
            self.position = file.tell()
        *lines, self.partial = text.split(b"\n")
        shown = [line for line in map(_decode, lines) if self.pattern.search(line)]
        if len(shown) > LINES_PER_LOOK:
            shown = [*shown[:LINES_PER_LOOK], f"… and {len(shown) - LINES_PER_LOOK} more like these in {self.path}"]
        return [_TIME.sub("", line)[:LINE_LENGTH] for line in shown]

    def last_line(self) -> str:
        """What the process said last, which for one that died is mostly why."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 4096))
            lines = [line.strip() for line in _decode(file.read()).splitlines() if line.strip()]
        return _TIME.sub("", lines[-1])[:LINE_LENGTH] if lines else "it said nothing"

    def rotate(self) -> None:
        """Beyond the limit: keep a copy and empty the file in place, since the process goes on writing into it."""
        if self.path.stat().st_size <= LOG_LIMIT_BYTES:
            return
        for number in range(LOGS_KEPT - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
        os.truncate(self.path, 0)


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip()


class Child:
    """One supervised process, started again with growing pauses whenever it ends by itself."""

    def __init__(self, *, name: str, command: list[str], log_folder: Path, cwd: Path, env: dict[str, str]) -> None:
        self.name = name
        self.command = command
        self.cwd = cwd
        self.env = env
        self.log = Log(log_folder / f"{name.replace(' ', '-')}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.pause = FIRST_PAUSE_S
        self.retry_at = 0.0
        self.failures = 0

    def start(self) -> None:
        self._close_input()
        with self.log.path.open("ab") as log:
            # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which ends its children in order.
            # Straight into the file: a pipe would break its writer when the supervisor dies.
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.PIPE,  # its end tells the child that the supervisor is gone, see jobs/child.py
                stdout=log,
                stderr=log,
                start_new_session=True,
                creationflags=_creation_flags(),
            )
        self.started_at = time.monotonic()
        self.retry_at = 0.0

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look_after(self) -> str | None:
        """Note an end, or start again when its pause is over. Returns a line for the terminal, if there is news."""
        if self.is_running():
            return None
        now = time.monotonic()
        if self.retry_at:
            if now >= self.retry_at:
                self.start()
            return None
        assert self.process is not None
        self.end_group()
        if now - self.started_at > SETTLED_S:
            self.pause, self.failures = FIRST_PAUSE_S, 0
        self.failures += 1
        self.retry_at = now + self.pause
        line = f"ended ({_how(self.process.returncode)}: {self.log.last_line()}); starting it again in {self.pause:.0f} s"
        self.pause = min(2 * self.pause, LONGEST_PAUSE_S)
        return line

    def ask_to_stop(self) -> None:
        if not self.is_running():
            return
        assert self.process is not None and self.process.stdin is not None
        if sys.platform == "win32":  # no signal there asks politely; the end of its input does
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)

    def kill(self, *, with_descendants: bool = False) -> None:
        """End it now. Its jobs' processes have sessions of their own and end by themselves, unless they are meant too."""
        if self.process is None:
            return
        if with_descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                kill_all(psutil.Process(self.process.pid).children(recursive=True))
        self.end_group()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close_input()

    def _close_input(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def end_group(self) -> None:
        """A server's main process may die and leave workers that hold its port."""
        assert self.process is not None
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP  # what start_new_session is elsewhere
    return 0


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def kill_all(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def left_behind(home: Path) -> list[psutil.Process]:
    """Processes that an earlier supervisor of this state folder started and did not live to stop."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(home):
                found.append(process)
    return found


def end_left_behind(home: Path, *, timeout: float = 5.0) -> int:
    """Stop those; returns how many there were."""
    processes = left_behind(home)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    kill_all(alive)
    psutil.wait_procs(alive, timeout=timeout)
    return len(processes)
