"""The embedded PostgreSQL starts whatever the last run left behind, and lets nobody else in."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from rlwhf_site.postgres import EmbeddedPostgres, PostgresError


@pytest.fixture
def home():
    # Not pytest's own folder: that is closed to other users, and root's server runs as one.
    folder = Path(tempfile.mkdtemp(prefix="rlwhf-pg-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def answer(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone()


def remember(url):
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def remembered(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def server_pid(postgres):
    return int((postgres.data / "postmaster.pid").read_text().splitlines()[0])


def start_in_another_process(home):
    """A process that starts the server and then waits to be killed."""
    code = f"""
        import time
        from pathlib import Path
        from rlwhf_site.postgres import EmbeddedPostgres
        EmbeddedPostgres(Path({str(home)!r}), durable=False).start()
        print("started", flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    return process


def test_data_survives_a_stop_and_a_start(home):
    server = EmbeddedPostgres(home, durable=False)
    remember(server.start())
    server.stop()
    server.stop()
    try:
        assert remembered(server.start()) == 1
    finally:
        server.stop()


def test_the_socket_is_its_owners_alone(home):
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    try:
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((server.socket_folder / ".s.PGSQL.5432").stat().st_mode) == 0o700
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["a" * 120, "with space, comma and %41 + quote'"])
def test_paths_that_no_socket_fits_in_still_work(home, name):
    server = EmbeddedPostgres(home / name, durable=False)
    try:
        assert answer(server.start()) == (1,)
        assert len(os.fsencode(server.socket_folder / ".s.PGSQL.5432")) <= 107
    finally:
        server.stop()
        if server.socket_folder.name != "run":
            shutil.rmtree(server.socket_folder, ignore_errors=True)


def test_on_loopback_a_password_is_needed_and_port_and_password_stay(home):
    server = EmbeddedPostgres(home, durable=False, over_tcp=True)
    try:
        url = server.start()
        assert answer(url) == (1,)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.replace(server.password, "wrong")).close()
        server.stop()
        again = EmbeddedPostgres(home, durable=False, over_tcp=True)
        server = again
        assert again.start() == url
        assert stat.S_IMODE((home / "postgres" / "connection.json").stat().st_mode) == 0o600
    finally:
        server.stop()


def test_the_server_ends_when_its_starter_is_killed_and_the_next_start_need_not_wait(home):
    starter = start_in_another_process(home)
    server = EmbeddedPostgres(home, durable=False)
    orphan = psutil.Process(server_pid(server))
    starter.kill()
    starter.communicate()
    begun = time.monotonic()
    try:
        assert answer(server.start()) == (1,)
        assert time.monotonic() - begun < 10
        assert not orphan.is_running()
    finally:
        server.stop()


def test_the_server_ends_by_itself_after_its_starter_was_killed(home):
    starter = start_in_another_process(home)
    orphan = psutil.Process(server_pid(EmbeddedPostgres(home)))
    starter.kill()
    starter.communicate()
    orphan.wait(timeout=20)


def test_a_killed_server_is_recovered(home):
    server = EmbeddedPostgres(home)  # durable: this is about losing nothing
    remember(server.start())
    with psycopg.connect(server.url):  # a backend that outlives the server for a moment
        os.kill(server_pid(server), signal.SIGKILL)
        server.process.wait(timeout=10)
        try:
            assert remembered(server.start()) == 1
        finally:
            server.stop()


def test_a_lock_file_that_names_another_process_does_not_stop_the_start(home):
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    lock_file = server.data / "postmaster.pid"
    left = lock_file.read_text().splitlines()
    server.stop()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        lock_file.write_text("\n".join([str(bystander.pid), *left[1:]]) + "\n")
        shutil.chown(lock_file, server.data.owner())
        assert answer(server.start()) == (1,)
        assert bystander.poll() is None
    finally:
        server.stop()
        bystander.kill()
        bystander.wait()


def test_half_made_data_folders_are_made_again(home):
    (home / "postgres" / "data.new" / "base").mkdir(parents=True)
    (home / "postgres" / "data").mkdir()
    server = EmbeddedPostgres(home, durable=False)
    try:
        assert answer(server.start()) == (1,)
    finally:
        server.stop()


def test_a_folder_of_another_version_is_refused_in_one_sentence(home):
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(PostgresError, match="PostgreSQL 15, and this is 18"):
        EmbeddedPostgres(home).start()


def test_a_folder_with_something_else_in_it_is_left_alone(home):
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "thesis.txt").write_text("precious")
    with pytest.raises(PostgresError, match="not a PostgreSQL data folder"):
        EmbeddedPostgres(home).start()
    assert (data / "thesis.txt").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_root_is_told_when_the_servers_user_cannot_reach_the_folder(home):
    home.chmod(0o700)
    with pytest.raises(PostgresError, match=r"cannot reach .* set RLWHF_HOME to a folder that every user may enter"):
        EmbeddedPostgres(home / "state").start()


def test_a_socket_folder_of_somebody_else_is_refused(home):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    server = EmbeddedPostgres(home / ("a" * 120))
    server.socket_folder.mkdir()
    os.chown(server.socket_folder, 12345, 12345)
    try:
        with pytest.raises(PostgresError, match="belongs to another user"):
            server.start()
    finally:
        server.socket_folder.rmdir()
