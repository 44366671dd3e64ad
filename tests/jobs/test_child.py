"""The child's side of the contract between a worker and what it spawns."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs import child

ROOT = Path(__file__).parents[2]


def spawn(code: str, folder: Path, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        stdin=stdin,
        stdout=subprocess.PIPE,
    )


def test_reports_are_whole_files_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    child.report_progress(done=1, total=4, note="step 1", folder=tmp_path)
    child.report_progress(done=2, total=4, note="step 2", folder=tmp_path)
    child.report_result({"loss": 0.5}, folder=tmp_path)
    child.report_failure(reason="Line 3 has no prompt.", hint="Add it.", kind="bad-data", folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failure.json", "progress.json", "result.json"]
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress == {"done": 2, "total": 4, "note": "step 2"}
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert failure == {"reason": "Line 3 has no prompt.", "hint": "Add it.", "kind": "bad-data", "about": ""}


def test_a_value_that_json_cannot_hold_leaves_the_old_report(tmp_path: Path) -> None:
    child.report_result({"loss": 0.5}, folder=tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        child.report_result({"loss": float("nan")}, folder=tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == {"loss": 0.5}


def test_a_file_that_many_write_at_once_is_always_one_of_theirs(tmp_path: Path) -> None:
    path, wanted = tmp_path / "answers.jsonl", [bytes([65 + k]) * 200_000 for k in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda content: [child.write_whole(path, content) for _ in range(5)], wanted))
    assert path.read_bytes() in wanted
    assert list(tmp_path.iterdir()) == [path]


def test_streams_grow_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    child.append_jsonl(path, {"step": 1, "note": "zwölf"})
    child.append_jsonl(path, {"step": 2})
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == [
        {"step": 1, "note": "zwölf"},
        {"step": 2},
    ]


APPENDS = """
import sys
from pathlib import Path
from jobs.child import append_jsonl
print("ready", flush=True)
for number in range(int(sys.argv[1])):
    append_jsonl(Path("shared.jsonl"), {"who": sys.argv[2], "number": number, "note": "x" * 9000}, is_shared=True)
"""


def appending(folder: Path, lines: int, who: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", APPENDS, str(lines), who]
    return subprocess.Popen(argv, cwd=folder, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)


def test_lines_that_several_processes_append_are_all_there_and_whole(tmp_path: Path) -> None:
    """Also behind half a line, which somebody left who was killed."""
    (tmp_path / "shared.jsonl").write_text('{"who": "gone", "numb')
    writers = [appending(tmp_path, 100, str(number)) for number in range(4)]
    for one in writers:
        with one:
            assert one.wait(60) == 0
    half, *lines = (tmp_path / "shared.jsonl").read_text().splitlines()
    assert half == '{"who": "gone", "numb'
    found = [(told["who"], told["number"]) for told in map(json.loads, lines)]
    assert sorted(found) == sorted((str(who), number) for who in range(4) for number in range(100))


@pytest.mark.skipif(sys.platform == "win32", reason="another kind of lock")
def test_whoever_appends_to_a_shared_file_waits_for_who_is_at_it(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "shared.jsonl"
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = appending(tmp_path, 1, "late")
        assert writer.stdout is not None
        with writer.stdout:
            assert writer.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(0.3)
        assert not path.read_text()
    assert writer.wait(30) == 0
    assert json.loads(path.read_text())["who"] == "late"


STOPS = """
import os, signal, sys, time
from jobs.child import watch_parent
def stop(*_):
    os.write(1, b"stopping\\n")  # not print: the signal may come while a print is still under way
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
assert watch_parent()
print("ready", flush=True)
time.sleep(60)
"""

IGNORES = """
import signal, time
from jobs.child import watch_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
watch_parent(grace_s=0.2)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("code", "last_words"), [(STOPS, b"stopping\n"), (IGNORES, b"")])
def test_the_child_ends_when_its_parent_does(tmp_path: Path, code: str, last_words: bytes) -> None:
    with spawn(code, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.write(b"anything but the end")
        process.stdin.flush()
        process.stdin.close()
        assert process.stdout.read() == last_words
        assert process.wait(timeout=10) == 143


def test_run_by_hand_it_watches_nothing(tmp_path: Path) -> None:
    code = "from jobs.child import watch_parent; print(watch_parent())"
    with spawn(code, tmp_path, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"None\n"
