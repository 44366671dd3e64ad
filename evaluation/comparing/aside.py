"""What takes long is reckoned aside, one thing at a time: whoever asks sees how far it is, and later what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any, TypeVar

AT_MOST = 8
"""One under way and others that wait for their turn, in a process; who asks for more is asked to come again."""

T = TypeVar("T")
Tell = Callable[[int, int], None]
"""Hears how many steps are done, of how many."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Underway:
    """It is being reckoned, `done` of `total` steps; 0 of 0 before its turn."""

    done: int = 0
    total: int = 0


@dataclass
class _Work:
    future: Future[Any] = field(default_factory=Future)
    so_far: Underway = field(default_factory=Underway)

    def tell(self, done: int, total: int) -> None:
        self.so_far = Underway(done, total)


_works: dict[str, _Work] = {}
_lock = Lock()
_turn = Lock()


def aside(name: str, make: Callable[[Tell], T], *, wait_s: float) -> T | Underway:
    """What `make` returns, or raises, if it is there after `wait_s` seconds; or else how far it is. Who asks again by the same
    name asks for the same. `make` runs in a thread of its own, so it must not ask the database.
    """
    work = _begun(name, make)
    if work is None:
        return Underway()
    try:
        work.future.exception(wait_s)
    except TimeoutError:
        return work.so_far
    with _lock:
        if _works.get(name) is work:
            del _works[name]
    found: T = work.future.result()
    return found


def _begun(name: str, make: Callable[[Tell], Any]) -> _Work | None:
    """The work of that name, which is begun if there is room."""
    with _lock:
        if name in _works:
            return _works[name]
        # What is done, and nobody has come back for, makes room.
        for other in [other for other, work in _works.items() if work.future.done()]:
            del _works[other]
        if len(_works) >= AT_MOST:
            return None
        work = _Work()
        # A daemon: the site does not wait for it when it stops.
        Thread(target=_reckon, args=(work, make), name="aside", daemon=True).start()
        _works[name] = work
        return work


def _reckon(work: _Work, make: Callable[[Tell], Any]) -> None:
    with _turn:
        try:
            work.future.set_result(make(work.tell))
        except BaseException as failed:
            logger.exception("what was reckoned aside failed")
            # Its frames hold all that was read, for as long as nobody comes back for it.
            work.future.set_exception(failed.with_traceback(None))
