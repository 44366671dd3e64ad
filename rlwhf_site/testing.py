"""A pytest plugin: tests run against a real, throw-away PostgreSQL, started once and found by pytest's worker processes.

Loaded with `-p rlwhf_site.testing` rather than from a conftest, because pytest-django reads the settings before any conftest.
"""

import atexit
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

from rlwhf_site.postgres import EmbeddedPostgres


def _start_postgres() -> None:
    home = Path(tempfile.mkdtemp(prefix="rlwhf-test-"))
    home.chmod(0o755)
    (home / "static").mkdir()
    os.environ["RLWHF_HOME"] = str(home)
    os.environ["RLWHF_TEST_OWNER"] = str(os.getpid())
    os.environ.pop("DATABASE_URL", None)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # There is a test process for each core already, and the models are tiny: more threads would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["RLWHF_DASHBOARD_SECONDS"] = "0"  # what a test has just made is what the home page shows it
    server = EmbeddedPostgres(home, durable=False)
    os.environ["DATABASE_URL"] = server.start()

    def stop() -> None:
        if os.environ.get("RLWHF_TEST_OWNER") == str(os.getpid()):
            server.stop()
            shutil.rmtree(home, ignore_errors=True)

    atexit.register(stop)


# At import: the settings read the address as soon as pytest-django loads them.
if "RLWHF_TEST_OWNER" not in os.environ:
    _start_postgres()
# Each of pytest's worker processes has a database of its own, and so a state folder of its own: file names hold row ids.
elif "PYTEST_XDIST_WORKER" in os.environ:
    _own = Path(os.environ["RLWHF_HOME"]) / os.environ["PYTEST_XDIST_WORKER"]
    (_own / "static").mkdir(parents=True, exist_ok=True)
    os.environ["RLWHF_HOME"] = str(_own)

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "rlwhf_template"
TEMPLATE_TIMEOUT_S = 300.0


def pytest_configure(config: pytest.Config) -> None:
    """Where there will be worker processes, make the database that each of them copies, while they look for their tests."""
    if not getattr(config.option, "numprocesses", None) or "PYTEST_XDIST_WORKER" in os.environ:
        return
    made = os.environ["TESTED_TEMPLATE_MADE"] = str(Path(os.environ["RLWHF_HOME"]) / "template-made")
    address = os.environ["DATABASE_URL"].replace("/rlwhf?", f"/{TEMPLATE}?")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {TEMPLATE}")
    code = "import django\ndjango.setup()\nfrom django.core.management import call_command as call\n"
    code += "call('migrate', verbosity=0, interactive=False, run_syncdb=True)\ncall('createcachetable')"
    migrating = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )

    def note_end() -> None:
        status = migrating.wait()
        Path(f"{made}.new").write_text(str(status), encoding="utf-8")
        Path(f"{made}.new").replace(made)

    threading.Thread(target=note_end, daemon=True).start()


def pytest_collection_finish() -> None:
    """What is imported by now, a gigabyte with PyTorch and all, stays: the garbage collector need not look through it again."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    """A worker's test database is a copy of the template: seven seconds of migrations, once and not for each worker."""
    if fixturedef.argname != "django_db_setup" or not _template_is_made():
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict["TEST"], "TEMPLATE", TEMPLATE)
        # All that Django calls here, `migrate` and `createcachetable`, was done in the template.
        patch.setattr("django.core.management.call_command", lambda *_, **__: None)
        return (yield)


def _template_is_made() -> bool:
    """Waits for it; False where there is to be none, or it could not be made: then each worker says why."""
    if "TESTED_TEMPLATE_MADE" not in os.environ or "PYTEST_XDIST_WORKER" not in os.environ:
        return False
    made, until = Path(os.environ["TESTED_TEMPLATE_MADE"]), time.monotonic() + TEMPLATE_TIMEOUT_S
    while not made.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return made.exists() and made.read_text(encoding="utf-8") == "0"


@pytest.fixture(scope="session", autouse=True)
def _plain_static_files() -> Iterator[None]:
    """Static files under their own names: the hashed ones exist only after collectstatic."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
        yield


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """What a child's main function sets for its own process, called within a test, is not there for the next test."""
    before, where = dict(os.environ), Path.cwd()
    yield
    for name in os.environ.keys() - before.keys() - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if name != "PYTEST_CURRENT_TEST"})
    os.chdir(where)
