"""Run a program that must not outlive the process that started it.

    python tether.py [--user UID --group GID] [--grace SECONDS] -- PROGRAM ARGUMENTS…

Standard input is a pipe whose other end only the starting process holds. When that process dies, even by SIGKILL, the
pipe ends; the program then has `grace` seconds in which whoever still uses it may finish, gets SIGINT, and is killed if
that does not end it. Signals are passed on. Made for PostgreSQL, which watches no pipe of its own and for which SIGINT
means "roll back what is open and stop". Only the standard library: it stays in memory as long as the program runs.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

STOP_TIMEOUT_S = 10.0


def wait_for_end_of_input() -> None:
    while os.read(0, 1):
        pass


def end_with_starter(program: "subprocess.Popen[bytes]", grace_s: float) -> None:
    wait_for_end_of_input()
    time.sleep(grace_s)
    stop(program)
    time.sleep(STOP_TIMEOUT_S)
    program.kill()


def stop(program: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        program.terminate()
    else:
        program.send_signal(signal.SIGINT)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int)
    parser.add_argument("--group", type=int)
    parser.add_argument("--grace", type=float, default=0.0)
    parser.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.program[1:] if options.program[:1] == ["--"] else options.program
    drop: dict[str, Any] = {}
    if options.user is not None:
        drop = {"user": options.user, "group": options.group, "extra_groups": []}
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, **drop)

    def stop_now(*_: object) -> None:
        stop(program)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], stop_now)
    threading.Thread(target=end_with_starter, args=(program, options.grace), daemon=True).start()
    return program.wait()


if __name__ == "__main__":
    sys.exit(main())
