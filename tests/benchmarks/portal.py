"""How fast the portal is when it is full: `python -m tests.benchmarks.portal`.

Starts a throw-away PostgreSQL and a granian server on loopback, fills them (100,000 items and 200,000 scores unless told
otherwise), and lets 50 people work at once, with five seconds of thought between two scores, with one, and as fast as
they can; a thought lasts from half to one and a half of what it is said to. Prints the time of "submit and get the next
item", of the home page and of the items page, and the memory of the web process. The people run on the same machine as
the site, so they take some of its time.
"""

import argparse
import http.client
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import psutil

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "synthetic-people-only"
START_TIMEOUT_S = 60
REQUEST_TIMEOUT_S = 30
PAGES = {
    "submit and get the next": None,
    "home page": "/",
    "items, newest 50": "/items/",
    "items, search": "/items/?q=harbour+treaty",
}


class Person:
    """One person's browser: a kept-open connection and cookies."""

    def __init__(self, port: int, name: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_S)
        self._cookies: dict[str, str] = {}
        self._post("/account/login/", {"username": name, "password": PASSWORD}, token_from="/account/login/", wanted=302)

    def get(self, path: str) -> str:
        return self._ask("GET", path, None, 200)

    def score(self, slug: str, rounds: int, pause: float, stop_at: float) -> list[float]:
        """Seconds of each "submit and get the next item"."""
        page = self.get(f"/score/in/{slug}/")
        shown = item_of(page)
        ahead = int(re.search(r'"item": (\d+)', self._json("GET", f"/score/in/{slug}/next/?besides={shown}"))[1])
        times = []
        while len(times) < rounds and time.monotonic() < stop_at:
            time.sleep(pause * random.uniform(0.5, 1.5))
            fields = {"submission": str(uuid4()), "overall": "1", "critique": "Measured.", "seconds": "3", "besides": str(ahead)}
            began = time.perf_counter()
            answer = self._json("POST", f"/score/items/{shown}/submit/", fields)
            times.append(time.perf_counter() - began)
            shown, ahead = ahead, int(re.search(r'"item": (\d+)', answer)[1])
        return times

    def _json(self, method: str, path: str, fields: dict[str, str] | None = None) -> str:
        return self._ask(method, path, fields, 200, {"Accept": "application/json"})

    def _post(self, path: str, fields: dict[str, str], *, token_from: str, wanted: int) -> str:
        self.get(token_from)
        return self._ask("POST", path, fields, wanted)

    def _ask(self, method: str, path: str, fields: dict[str, str] | None, wanted: int, more: dict[str, str] | None = None) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), **(more or {})}
        body = None
        if fields is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": self._cookies.get("csrftoken", "")}
            body = urlencode(fields, doseq=True)
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status != wanted:
            raise RuntimeError(f"{method} {path} answered {answer.status}, not {wanted}: {text[:300]}")
        return text


def item_of(page: str) -> int:
    return int(re.search(r'data-item="(\d+)"', page)[1])


def at_once(people: list[Person], work: Callable[[Person], list[float]]) -> list[float]:
    """What every person measured, all working at the same time. Raises the first error of any of them."""
    results: list[list[float]] = [[] for _ in people]
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(people))

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = work(people[number])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [one for of_one in results for one in of_one]


def measure(person: Person, *, path: str | None, rounds: int, pause: float, stop_at: float) -> list[float]:
    """Seconds of each page; without a path, of each score."""
    if path is None:
        return person.score("synthetic", rounds, pause, stop_at)
    times = []
    while len(times) < rounds and time.monotonic() < stop_at:
        time.sleep(pause * random.uniform(0.5, 1.5))
        began = time.perf_counter()
        person.get(path)
        times.append(time.perf_counter() - began)
    return times


@contextmanager
def site(options: argparse.Namespace) -> Iterator[tuple[int, psutil.Process]]:
    """A filled site on a free port; everything is gone afterwards."""
    from rlwhf_site.postgres import EmbeddedPostgres

    home = Path(tempfile.mkdtemp(prefix="rlwhf-bench-"))
    home.chmod(0o755)
    postgres = EmbeddedPostgres(home)
    try:
        os.environ |= {"RLWHF_HOME": str(home), "DATABASE_URL": postgres.start()}
        fill = ["--items", str(options.items), "--scores", str(options.scores), "--people", str(options.people)]
        manage("migrate", "--verbosity", "0")
        manage("collectstatic", "--noinput", "--verbosity", "0")
        began = time.monotonic()
        manage("load_synthetic", *fill, "--password", PASSWORD)
        print(f"filled in {time.monotonic() - began:.0f} s")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        web = subprocess.Popen(
            [sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port),
             "--workers", str(options.web_workers), "--no-access-log", "--log-level", "warning", "rlwhf_site.asgi:application"],
            cwd=ROOT,
        )  # fmt: skip
        try:
            wait_for(port)
            yield port, psutil.Process(web.pid)
        finally:
            web.terminate()
            web.wait(30)
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


def manage(*arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)


def wait_for(port: int) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError("granian did not start")


def memory_mb(web: psutil.Process) -> float:
    return sum(one.memory_info().rss for one in [web, *web.children(recursive=True)]) / 1e6


def cpu_seconds(web: psutil.Process) -> float:
    """Processor time of the web process: unlike a wall time it does not depend on what else the machine does."""
    return sum(one.cpu_times().user + one.cpu_times().system for one in [web, *web.children(recursive=True)])


def show(name: str, times: list[float], seconds: float, worked: float) -> None:
    ordered = sorted(one * 1000 for one in times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    numbers = f"{statistics.median(ordered):>8.0f} {p95:>8.0f} {ordered[-1]:>8.0f}"
    print(f"{name:52} {len(times):>6} {numbers} {len(times) / seconds:>8.1f} {worked / len(times) * 1000:>8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--scores", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--web-workers", type=int, default=1, help="as of `rlwhf up`")
    parser.add_argument("--thought", type=float, nargs="*", default=[5, 1, 0], help="seconds between two requests of a person")
    parser.add_argument("--pages", nargs="*", choices=PAGES, default=list(PAGES))
    parser.add_argument("--rounds", type=int, default=30, help="per person and measurement")
    parser.add_argument("--limit", type=float, default=60, help="seconds per measurement at most")
    options = parser.parse_args()
    with site(options) as (port, web):
        before = memory_mb(web)
        people = [Person(port, f"synthetic-{number:03}") for number in range(options.people)]
        title = f"what, by {options.people} people at once"
        print(f"{title:52} {'n':>6} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8} {'per s':>8} {'cpu ms':>8}")
        for pause in options.thought:
            label = f"{pause:g} s of thought" if pause else "no pause"
            for name in options.pages:
                began = time.monotonic()
                work = partial(measure, path=PAGES[name], rounds=options.rounds, pause=pause, stop_at=began + options.limit)
                worked = cpu_seconds(web)
                times = at_once(people, work)
                show(f"{name} ({label})", times, time.monotonic() - began, cpu_seconds(web) - worked)
        print(f"web process: {before:.0f} MB before, {memory_mb(web):.0f} MB after")


if __name__ == "__main__":
    main()
