"""A lock file that the operating system lets go when its holder dies, however it dies. Only the standard library."""

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def try_lock(path: Path) -> IO[str] | None:
    """Hold `path` as a lock for as long as the returned file stays open; None where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited by children (Python's default), so the lock never outlives this process.
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
