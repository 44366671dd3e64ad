"""What was reckoned once is kept, on disk for all processes and in memory for this one, while answers and code stay the same."""

import hashlib
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import orjson
from django.conf import settings
from pydantic import BaseModel, ValidationError

from jobs.child import write_whole

# Kept results on disk, for all processes, and in this one's memory; those looked at longest ago go first.
KEPT_AT_MOST = 200
AT_HAND_AT_MOST = 12
_HERE = Path(__file__).parent
RECKONERS = (_HERE.parent / "statistics.py", _HERE.parent / "answers.py", _HERE.parent / "scorecards" / "parts.py")
RECKONER_FOLDERS = (_HERE, _HERE.parent / "metrics")
"""What a comparison's figures come from."""
# A file half written is of a process that has died after that long, seconds.
HALF_WRITTEN_FOR = 3600.0

logger = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
_recent: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()
_making: defaultdict[str, Lock] = defaultdict(Lock)


@cache
def _code() -> str:
    """A hash of the code that reckons: a formula or a test that was mended must not leave old figures standing."""
    files = [*RECKONERS, *(path for folder in RECKONER_FOLDERS for path in sorted(folder.glob("*.py")))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def kept(kind: type[M], about: Sequence[str], make: Callable[[], M]) -> M:
    """What is kept under `about`, or else what `make` returns, which then is kept."""
    path = _path(kind, about)
    return _at_hand(str(path), lambda: _on_disk(kind, path, make))


def found_kept(kind: type[M], about: Sequence[str]) -> M | None:
    """What is kept under `about`, without a wait for whoever makes it now."""
    path = _path(kind, about)
    known: M | None = _at_once(str(path))
    if known is None and (known := _read(kind, path)) is not None:
        _hold(str(path), known)
    return known


def _path(kind: type[BaseModel], about: Sequence[str]) -> Path:
    return Path(settings.RLWHF_HOME, "cache", "comparisons", f"{_name([kind.__name__, *about])}.json")


def remembered(about: Sequence[str], make: Callable[[], T]) -> T:
    """The same of what is quickly made again: in memory alone."""
    return _at_hand(_name(about), make)


def _name(about: Sequence[str]) -> str:
    return hashlib.sha256(orjson.dumps([_code(), *about])).hexdigest()


def _at_hand(name: str, make: Callable[[], T]) -> T:
    """While one caller makes it, others who want the same wait for it."""
    with _lock:
        making = _making[name]
    try:
        with making:
            return _looked_up(name, make)
    finally:
        with _lock:
            if not making.locked():
                _making.pop(name, None)


def _looked_up(name: str, make: Callable[[], T]) -> T:
    known: T | None = _at_once(name)
    if known is not None:
        return known
    made = make()
    _hold(name, made)
    return made


def _at_once(name: str) -> Any:
    with _lock:
        if name in _recent:
            _recent.move_to_end(name)
        return _recent.get(name)


def _hold(name: str, made: Any) -> None:
    with _lock:
        _recent[name] = made
        while len(_recent) > AT_HAND_AT_MOST:
            _recent.popitem(last=False)


def _read(kind: type[M], path: Path) -> M | None:
    try:
        found = kind.model_validate_json(path.read_bytes())
        path.touch()
    except (OSError, ValidationError):
        return None
    return found


def _on_disk(kind: type[M], path: Path, make: Callable[[], M]) -> M:
    found = _read(kind, path)
    if found is not None:
        return found
    made = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, made.model_dump_json().encode())
        _forget_oldest(path.parent)
    except OSError:  # a full disk, say: what was reckoned is good all the same
        logger.warning("a comparison could not be kept at %s", path, exc_info=True)
    return made


def _forget_oldest(folder: Path) -> None:
    """Other processes forget here too: what is gone meanwhile is no matter."""
    kept_now = sorted(_ages(folder.glob("*.json")), reverse=True)
    gone = [path for _, path in kept_now[KEPT_AT_MOST:]]
    gone += [path for at, path in _ages(folder.glob("*.part")) if at < time.time() - HALF_WRITTEN_FOR]
    for path in gone:
        path.unlink(missing_ok=True)


def _ages(paths: Iterable[Path]) -> list[tuple[float, Path]]:
    """When each was last looked at."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return found
