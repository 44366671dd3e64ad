"""`rlwhf up` as a person meets it: a real process, a real browser's requests, real signals."""

import http.client
import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from rlwhf_site.processes import left_behind


class Site:
    """One `rlwhf up` on one state folder."""

    def __init__(self, home, *, port=None):
        self.home = home
        self.port = port or free_port()
        self.env = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "BROKER_URL", "RLWHF_TEST_OWNER", "DJANGO_SETTINGS_MODULE"}
        } | {"RLWHF_HOME": str(home)}
        self.process = None
        self.output = ""

    def start(self, *arguments, env=None):
        command = [sys.executable, "manage.py", "up", "--port", str(self.port), *arguments]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=self.env | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def wait_until_ready(self):
        for line in self.process.stdout:
            self.output += line
            if "answers at" in line:
                self.started_in = time.monotonic() - self.began
                return self
        pytest.fail(f"the site did not start:\n{self.output}")

    def stop(self, number=signal.SIGINT, timeout=40):
        """Ask it to stop; returns how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=timeout)[0]
        return time.monotonic() - began

    def end(self):
        """Whatever happened in the test: leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.communicate(timeout=45)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
        for process in left_behind(self.home):
            process.kill()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return answer.status, answer.read().decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def within(seconds):
    """The promise for a machine with nothing else to do, stretched by how many processes now share each core."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="rlwhf-up-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(home):
    site = Site(home)
    yield site
    site.end()


def is_alive(process):
    """Not so for one that nobody has collected yet: a container's first process may never do so."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def refusal(site, *arguments, env=None):
    """What `up` says when it will not start: one sentence and exit status 1, at once."""
    site.start(*arguments, env=env)
    output = site.process.communicate(timeout=60)[0]
    assert site.process.returncode == 1, output
    assert len(output.strip().splitlines()) <= 2, output  # "Stopped." may follow
    assert "Traceback" not in output
    return output


def become_admin(site, link):
    """Follow the set-up link as a browser would; returns the address the browser ends on."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    form = opener.open(link, timeout=10).read().decode()
    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
    secret = "a long passphrase 42"
    fields = {"username": "ada", "password": secret, "again": secret, "csrfmiddlewaretoken": csrf}
    data = urllib.parse.urlencode(fields).encode()
    return opener.open(urllib.request.Request(link, data, {"Referer": link}), timeout=10).url


def test_the_whole_life_of_a_site(site, home, record_property):
    site.start().wait_until_ready()
    record_property("first_start_seconds", round(site.started_in, 1))
    print(f"first start: {site.started_in:.1f} s")
    assert site.started_in < within(10)

    assert site.get("/account/login/")[0] == 200
    told = json.loads((home / "run" / "supervisor.json").read_text())
    assert (told["pid"], told["address"]) == (site.process.pid, site.address)
    if os.name != "nt":
        assert (home / "run" / "database_url").stat().st_mode & 0o077 == 0

    link = re.search(r"http\S+/account/setup/\S+", site.process.stdout.readline())[0]
    assert "/account/setup/" not in become_admin(site, link)
    with pytest.raises(urllib.error.HTTPError):  # the link works once
        urllib.request.urlopen(link, timeout=10)

    second = Site(home)
    sentence = refusal(second)
    assert str(site.process.pid) in sentence
    assert f"already running (process {site.process.pid}) at {site.address}" in sentence

    people = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", "from accounts.models import User; print(User.objects.get().username)"],
        cwd=settings.BASE_DIR, env=site.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert people.stdout.strip().endswith("ada")

    assert site.stop() < within(5)
    assert site.process.returncode == 0
    assert site.output.rstrip().endswith("Stopped.")
    assert left_behind(home) == []
    assert not (home / "run" / "database_url").exists()

    again = Site(home, port=site.port).start()
    try:
        again.wait_until_ready()
        print(f"second start: {again.started_in:.1f} s")
        assert again.stop(signal.SIGTERM) < within(5)
        assert "setup" not in again.output  # there is an admin
    finally:
        again.end()


@pytest.mark.full
def test_after_kill_9_everything_ends_and_the_next_start_works(site, home):
    site.start().wait_until_ready()
    while len(processes := left_behind(home)) < 5:  # web and its worker, reconciler, two workers
        time.sleep(0.1)
    time.sleep(2)
    site.process.kill()
    site.process.communicate()
    again = Site(home, port=site.port).start()  # at once, on the same port, while all of it still runs
    try:
        again.wait_until_ready()
        assert again.get("/account/login/")[0] == 200
        assert not any(is_alive(process) for process in processes)
        again.process.kill()
        again.process.communicate()
        # Left alone, they notice by themselves.
        deadline = time.monotonic() + within(20)
        while (alive := [process for process in left_behind(home) if is_alive(process)]) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not alive
    finally:
        again.end()


def web_server(site):
    """The web server's main process, if there is one: a child of the supervisor itself."""
    ours = [each for each in left_behind(site.home) if each.ppid() == site.process.pid]
    return next((each for each in ours if "rlwhf_site.web" in each.cmdline()), None)


@pytest.mark.full
def test_a_crashed_web_server_is_started_again(site):
    site.start().wait_until_ready()
    first = web_server(site)
    first.kill()
    deadline = time.monotonic() + within(20)
    while time.monotonic() < deadline:
        time.sleep(0.2)
        try:
            if web_server(site) not in {None, first} and site.get("/account/login/")[0] == 200:
                break
        except OSError:
            continue
    else:
        pytest.fail("the web server did not come back")
    site.stop()
    assert re.search(r"^web \| ended \(signal SIGKILL: .*starting it again in 1 s$", site.output, re.MULTILINE)


@pytest.mark.full
def test_a_killed_database_comes_back_and_the_site_with_it(site, home):
    site.start().wait_until_ready()
    assert site.get("/account/login/")[0] == 200
    os.kill(int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
    deadline = time.monotonic() + within(20)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            if site.get("/account/login/")[0] == 200 and (home / "postgres" / "data" / "postmaster.pid").exists():
                break
        except (OSError, http.client.HTTPException):
            continue
    else:
        pytest.fail("the site did not recover")
    assert site.stop() < within(5)


@pytest.mark.full
def test_a_stop_before_the_start_is_complete_leaves_nothing(site, home):
    site.start()
    time.sleep(1.5)
    assert site.stop() < within(5)
    assert "Traceback" not in site.output
    assert left_behind(home) == []
    site.start().wait_until_ready()
    site.stop()


def test_a_busy_port_is_one_sentence_with_another_to_choose(site):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", site.port))
        busy.listen()
        sentence = refusal(site)
    assert f"Port {site.port} on 127.0.0.1 is in use" in sentence
    assert f"--port {site.port + 1}" in sentence


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root runs the server as another user")
def test_a_folder_that_the_servers_user_cannot_reach_is_one_sentence(home):
    home.chmod(0o700)
    assert "set RLWHF_HOME to a folder that every user may enter" in refusal(Site(home / "state"))


def test_an_unreachable_external_database_is_one_sentence_without_its_password(site):
    sentence = refusal(site, env={"DATABASE_URL": "postgresql://me:hush@127.0.0.1:9/x"})
    assert "127.0.0.1" in sentence
    assert "hush" not in sentence
