"""What takes long is reckoned aside: once for all who ask, one thing at a time, with its progress and its failure told."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from evaluation.comparing import aside as module
from evaluation.comparing.aside import AT_MOST, Tell, Underway, aside
from tests.jobs.conftest import until

LONG_S = 20.0


@pytest.fixture
def gate() -> Iterator[Event]:
    """Opened at the end at the latest, so that no thread waits for ever."""
    one = Event()
    yield one
    one.set()


def test_what_is_quick_is_there_at_once_and_is_forgotten() -> None:
    assert aside("quick", lambda tell: 7, wait_s=LONG_S) == 7
    assert aside("quick", lambda tell: 8, wait_s=LONG_S) == 8


def test_who_asks_again_asks_for_the_same_and_hears_how_far_it_is(gate: Event) -> None:
    begun, made = Event(), []

    def make(tell: Tell) -> str:
        made.append("once")
        tell(2, 6)
        begun.set()
        assert gate.wait(LONG_S)
        return "table"

    aside("long", make, wait_s=0)
    assert begun.wait(LONG_S)
    assert aside("long", make, wait_s=0) == Underway(2, 6)
    gate.set()
    assert aside("long", make, wait_s=LONG_S) == "table" and made == ["once"]


def test_one_thing_at_a_time_and_not_too_many_wait(gate: Event) -> None:
    inside, most = [], []

    def make(name: str, tell: Tell) -> str:
        inside.append(name)
        most.append(len(inside))
        assert gate.wait(LONG_S)
        time.sleep(0.01)
        inside.remove(name)
        return name

    names = [str(number) for number in range(AT_MOST)]
    for name in names:
        assert aside(name, lambda tell, name=name: make(name, tell), wait_s=0.01) == Underway()
    assert aside("one more", lambda tell: "never", wait_s=0.01) == Underway() and "one more" not in module._works
    gate.set()
    assert [aside(name, lambda tell: "never", wait_s=LONG_S) for name in names] == names
    assert most == [1] * AT_MOST and not module._works
    assert aside("one more", lambda tell: "now", wait_s=LONG_S) == "now"


def test_what_nobody_came_back_for_makes_room() -> None:
    for number in range(2 * AT_MOST):
        if isinstance(aside(str(number), lambda tell: "done", wait_s=0), Underway):
            module._works[str(number)].future.result(LONG_S)
    assert len(module._works) <= AT_MOST


def test_where_no_thread_can_start_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(Thread, "start", full)
        aside("unlucky", lambda tell: 1, wait_s=0)
    assert aside("unlucky", lambda tell: 2, wait_s=LONG_S) == 2


def test_a_failure_that_nobody_has_come_back_for_holds_nothing_of_what_was_read(
    gate: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rows:
        pass

    known: list[weakref.ref[Rows]] = []
    monkeypatch.setattr(module.logger, "disabled", True)  # pytest keeps what is logged, with its frames

    def fails(tell: Tell) -> str:
        rows = Rows()
        known.append(weakref.ref(rows))
        assert gate.wait(LONG_S)
        raise ValueError("no question in common")

    assert aside("heavy", fails, wait_s=0) == Underway()
    gate.set()
    until(lambda: gc.collect() >= 0 and known and known[0]() is None)
    assert isinstance(module._works.pop("heavy").future.exception(0), ValueError)


def test_a_failure_is_told_to_whoever_asks_and_to_the_log_and_the_next_one_begins_anew(
    gate: Event, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(tell: Tell) -> str:
        assert gate.wait(LONG_S)
        raise ValueError("no question in common")

    assert aside("bad", fails, wait_s=0) == Underway()
    gate.set()
    with pytest.raises(ValueError, match="in common"):
        aside("bad", fails, wait_s=LONG_S)
    assert "ValueError: no question in common" in caplog.text
    assert aside("bad", lambda tell: "mended", wait_s=LONG_S) == "mended"


def test_a_time_out_within_is_a_failure_and_not_a_wait() -> None:
    def fails(tell: Tell) -> str:
        raise TimeoutError("a disk")

    with pytest.raises(TimeoutError, match="a disk"):
        aside("timed out", fails, wait_s=LONG_S)
