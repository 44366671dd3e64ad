"""The `rlwhf` command itself."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from rlwhf_site.cli import needs_database, summary
from rlwhf_site.database import without_password

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def nowhere():
    """The environment of a shell on a state folder on which no site runs."""
    home = Path(tempfile.mkdtemp(prefix="rlwhf-cli-"))
    yield {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {"RLWHF_HOME": str(home)}
    shutil.rmtree(home)


def rlwhf(*arguments, env=None):
    command = [sys.executable, "-m", "rlwhf_site.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_command_it_lists_ours_by_subject(nowhere):
    said = rlwhf(env=nowhere).stdout
    assert "The site\n  backup " in said and "\n  up " in said
    assert "\nJobs\n" in said
    assert "collectstatic" not in said
    assert said == rlwhf("help", env=nowhere).stdout


def test_the_list_says_what_each_command_says_of_itself():
    for name in ("demo", "serve", "dpo_train", "import_items"):
        owner = get_commands()[name]
        text = " ".join(load_command_class(owner, name).help.split())
        assert text.startswith(summary(owner, name))


def test_every_command_of_ours_says_what_it_does(nowhere):
    lines = [line for line in rlwhf(env=nowhere).stdout.splitlines() if line.startswith("  ")]
    assert [line for line in lines if len(line.split()) < 3] == []


def test_where_no_site_runs_a_command_says_so_at_once(nowhere):
    began = time.monotonic()
    done = rlwhf("reconcile", "--once", env=nowhere)
    assert time.monotonic() - began < 5
    assert done.returncode == 1
    assert done.stderr.startswith("The site is not running on ")
    assert "make run" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_address_left_by_a_crash_counts_as_not_running(nowhere):
    run = Path(nowhere["RLWHF_HOME"]) / "run"
    run.mkdir()
    (run / "database_url").write_text(f"postgresql://rlwhf@/rlwhf?host={run}")
    assert rlwhf("reconcile", "--once", env=nowhere).stderr.startswith("The site is not running on ")


def test_a_database_of_ones_own_is_named_without_its_password(nowhere):
    done = rlwhf("reconcile", "--once", env=nowhere | {"DATABASE_URL": "postgresql://me:hush@127.0.0.1:9/x"})
    assert "postgresql://me:…@127.0.0.1:9/x does not answer" in done.stderr
    assert "hush" not in done.stderr


def test_dashes_and_underscores_name_the_same_command(nowhere):
    assert rlwhf("make-migrations", "--help", env=nowhere).returncode == 1
    assert rlwhf("remove-stale-contenttypes", "--help", env=nowhere).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["demo"], True),
        (["demo", "--help"], False),
        (["up"], False),
        (["check"], False),
        (["--version"], False),
        (["shell"], True),
    ],
)
def test_which_commands_need_a_database(arguments, needed):
    assert needs_database(["rlwhf", *arguments]) is needed


def test_addresses_without_a_password_stay_as_they_are():
    assert without_password("postgresql://rlwhf@/rlwhf?host=/tmp/x") == "postgresql://rlwhf@/rlwhf?host=/tmp/x"
