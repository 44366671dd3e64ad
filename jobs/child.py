"""What a child process tells its worker, and how it notices that the worker is gone.

The child's current folder is its job's folder. Everything is told by files there: reports are written aside and
renamed, so that a reader sees the old report or the new one and never half of one; streams are appended to, one
whole line at a time. No Django, no third-party package: every child imports this module first.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PROGRESS = "progress.json"
RESULT = "result.json"
FAILURE = "failure.json"
NOTICES = "notices.jsonl"

STOPPED_EXIT_CODE = 128 + signal.SIGTERM
PARENT_GRACE_S = 30.0


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the file at `path` by `value` in one step; NaN and infinity are refused, as JSON has neither."""
    write_whole(path, json.dumps(value, ensure_ascii=False, allow_nan=False).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path` in one step: a reader sees the old one or the new one, and never half of one."""
    # Named by process and thread: two may write the same file at once, and the later one holds.
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none, or not yet."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def append_jsonl(path: Path, value: Mapping[str, Any], *, is_shared: bool = False) -> None:
    """Append one JSON object as one line, in a single write, so that concurrent readers see whole lines.

    Where the disk has room for half a line only, that half is taken back, and so a file has one writer, unless it `is_shared`:
    then whoever writes waits until the others have, and half a line that one left who was killed gets its end. Raises OSError.
    """
    line = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if is_shared:
            _lock(descriptor)
        before = os.fstat(descriptor).st_size
        if is_shared and before and not _ends_a_line(descriptor, before):
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def _ends_a_line(descriptor: int, size: int) -> bool:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"


def _lock(descriptor: int) -> None:
    """Wait until nobody else has the file, and hold it until it is closed, however this process ends."""
    if sys.platform == "win32":
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far behind its end: what is locked there, nobody can read
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def report_progress(
    *, done: float, total: float | None, note: str = "", rates: Mapping[str, float] | None = None, folder: Path | None = None
) -> None:
    """Say how far the work is: `done` of `total`, in whatever unit suits it (None = not known yet).

    `rates` is how fast it goes just now, as far as that is known: `step`, `step_seconds`, `samples_per_second`,
    `tokens_per_second`. They stand in the job's telemetry.
    """
    about = {"rates": dict(rates)} if rates else {}
    write_json((folder or Path()) / PROGRESS, {"done": done, "total": total, "note": note, **about})


def report_result(result: Mapping[str, Any], *, folder: Path | None = None) -> None:
    """Hand over the work's result; written last, when everything it speaks of is on disk."""
    write_json((folder or Path()) / RESULT, result)


def report_failure(*, reason: str, hint: str = "", kind: str = "error", about: str = "", folder: Path | None = None) -> None:
    """Say why the work failed (`reason`), how to mend it (`hint`), and of which `kind` it was: "error",
    "bad-data", "bad-spec", "out-of-memory", "unsupported", "diverged", …; `about` names what it is about, where that helps.
    """
    write_json((folder or Path()) / FAILURE, {"reason": reason, "hint": hint, "kind": kind, "about": about})


def report_notice(text: str, *, folder: Path | None = None) -> None:
    """Say what a person should know though the work goes on, such as a damaged checkpoint that was passed over."""
    append_jsonl((folder or Path()) / NOTICES, {"time": round(time.time(), 3), "text": text})


def watch_parent(*, grace_s: float = PARENT_GRACE_S) -> threading.Thread | None:
    """End this process when the worker that started it dies.

    Standard input is a pipe whose other end only the worker holds: end of file means that the worker is gone.
    The process then gets SIGTERM, as if it had been stopped, and ends for good after `grace_s` seconds. Returns
    None, and watches nothing, where standard input is no pipe (a terminal, /dev/null): run by hand.
    """
    if not _stdin_is_pipe():
        return None
    watcher = threading.Thread(target=_end_with_parent, args=(grace_s,), name="watch-parent", daemon=True)
    watcher.start()
    return watcher


def _stdin_is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:  # standard input is closed
        return False


def _end_with_parent(grace_s: float) -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(STOPPED_EXIT_CODE)
