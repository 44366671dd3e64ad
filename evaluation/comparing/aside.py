"""What takes long is reckoned aside, one thing at a time: whoever asks sees how far it is, and later what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any, TypeVar

AT_MOST = 8
"""Under way or waiting for their turn, in a process."""

T = TypeVar("T")
Tell = Callable[[int, int], None]
"""Hears how many steps are done, of how many."""


class TooManyAsked(Exception):  # noqa: N818 (a refusal is no accident)
    """So many are being reckoned already that no other one is begun."""


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
    name asks for the same. `make` runs in a thread of its own, so it must not ask the database. Raises TooManyAsked.
    """
    with _lock:
        work = _works.get(name)
        if work is None:
            _make_room()
            if len(_works) >= AT_MOST:
                raise TooManyAsked
            work = _works[name] = _Work()
            # A daemon: the site does not wait for it when it stops.
            Thread(target=_reckon, args=(work, make), name="aside", daemon=True).start()
    try:
        work.future.exception(wait_s)
    except TimeoutError:
        return work.so_far
    with _lock:
        if _works.get(name) is work:
            del _works[name]
    found: T = work.future.result()
    return found


def _make_room() -> None:
    """Forget what is done, and whoever asked for it has not come back."""
    for name in [name for name, work in _works.items() if work.future.done()]:
        del _works[name]


def _reckon(work: _Work, make: Callable[[Tell], Any]) -> None:
    with _turn:
        try:
            work.future.set_result(make(work.tell))
        except BaseException as failed:
            work.future.set_exception(failed)
