"""A child that works in steps, remembers how far it is, and ends with its worker: `steps.py FOLDER NOTES ID STEPS`."""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from jobs.child import report_progress, report_result, watch_parent

folder, notes, name, steps = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
watch_parent()


def note(text: str) -> None:
    with notes.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{text} {name} {os.getpid()} {time.time()}\n")


done, aside = folder / "done", folder / ".done"
begin = int(done.read_text()) if done.exists() else 0
note("start")
for step in range(begin, steps):
    time.sleep(0.05)
    note("step")
    aside.write_text(str(step + 1))
    aside.replace(done)  # in one step: a kill between the two would else leave half a checkpoint
    report_progress(done=step + 1, total=steps, folder=folder)
report_result({"steps": steps, "began_at": begin}, folder=folder)
