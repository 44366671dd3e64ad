"""The supervisor's children: restarts with growing pauses, an orderly or a sudden end, logs that stay small."""

import os
import sys
import threading
import time

import psutil
import pytest

from rlwhf_site import processes
from rlwhf_site.processes import Child, Log
from rlwhf_site.supervisor import Options, Supervisor

SLOW_TO_STOP = """
import signal, time
def end(*_):
    time.sleep({seconds})
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def child(tmp_path):
    made = []

    def make(code, name="worker cpu"):
        command = [sys.executable, "-c", code]
        made.append(Child(name=name, command=command, log_folder=tmp_path, cwd=tmp_path, env=dict(os.environ)))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def wait_until(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def supervisor_of(tmp_path, *children):
    said = []
    options = Options(home=tmp_path, host="127.0.0.1", port=1, web_workers=1, tags=[])
    supervisor = Supervisor(options=options, say=said.append, children=list(children))
    for each in children:
        each.start()
        wait_until(lambda each=each: "ready" in each.log.path.read_text())
    return supervisor, said


def test_a_child_that_ends_is_started_again_after_growing_pauses(child, monkeypatch):
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 0.1)
    ending = child("print('no luck'); raise SystemExit(3)")
    ending.pause = 0.1
    ending.start()
    said = []
    wait_until(lambda: said.append(ending.look_after()) or len(list(filter(None, said))) == 3)
    lines = list(filter(None, said))
    assert lines[0].startswith("ended (exit status 3: no luck); starting it again in")
    assert ending.failures == 3
    assert ending.pause == pytest.approx(0.8)


def test_a_stop_that_takes_long_says_that_it_waits_for_a_checkpoint(child, tmp_path):
    supervisor, said = supervisor_of(tmp_path, child(SLOW_TO_STOP.format(seconds=2.5)))
    supervisor.stop_signals = 1
    supervisor._stop()
    assert said == ["Waiting for a checkpoint: worker cpu (30 s at most; Ctrl-C again stops at once)", "Stopped."]
    assert supervisor.children[0].process.returncode == 0


def test_a_second_stop_ends_everything_at_once_descendants_too(child, tmp_path):
    spawn = "import subprocess; job = subprocess.Popen(['sleep', '60'], start_new_session=True); print(job.pid, flush=True)\n"
    supervisor, said = supervisor_of(tmp_path, child(spawn + SLOW_TO_STOP.format(seconds=60)))
    job = psutil.Process(int(supervisor.children[0].log.path.read_text().split()[0]))
    supervisor.stop_signals = 1

    def again():
        supervisor.stop_signals = 2

    threading.Timer(0.3, again).start()
    began = time.monotonic()
    supervisor._stop()
    assert time.monotonic() - began < 2
    assert said == ["Stopped."]
    wait_until(lambda: not job.is_running() or job.status() == psutil.STATUS_ZOMBIE)


def test_only_what_matters_is_shown_without_its_time(tmp_path):
    log = Log(tmp_path / "web.log")
    with log.path.open("a") as file:
        file.write("2026-01-02 03:04:05,678 INFO jobs.worker job 1 started\n")
        file.write("2026-01-02 03:04:05,678 ERROR jobs.worker job 1 died\n[WARNING] from granian\n2026-01-02 03:04:05 WARN")
    assert log.news() == ["ERROR jobs.worker job 1 died", "[WARNING] from granian"]
    with log.path.open("a") as file:
        file.write("ING the rest of a line\n")
    assert log.news() == ["WARNING the rest of a line"]
    assert log.news() == []


def test_a_flood_is_cut(tmp_path):
    log = Log(tmp_path / "web.log")
    log.path.write_text("ERROR again\n" * 500)
    shown = log.news()
    assert len(shown) == processes.LINES_PER_LOOK + 1
    assert shown[-1].startswith("… and 480 more")


def test_of_the_database_only_its_own_troubles_are_shown(tmp_path):
    log = Log.of_database(tmp_path / "postgres.log")
    when = "2026-01-02 03:04:05.678 UTC 1"
    log.path.write_text(f"{when} ERROR:  duplicate key\n{when} PANIC:  no space left\n")
    assert log.news() == ["1 PANIC:  no space left"]


def test_a_log_beyond_its_limit_is_copied_and_emptied_while_its_process_writes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 100)
    log = Log(tmp_path / "web.log")
    with log.path.open("ab", buffering=0) as writer:
        for round_ in range(5):
            writer.write(b"x" * 150 + b"%d\n" % round_)
            log.rotate()
        writer.write(b"ERROR after\n")
    assert log.news() == ["ERROR after"]
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert (tmp_path / "web.log.1").read_text().endswith("4\n")
