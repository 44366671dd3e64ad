"""Mistakes in the settings are told in words, at start."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rlwhf_site import checks
from rlwhf_site.settings import database

ROOT = Path(__file__).resolve().parents[2]


def ids(found):
    return [message.id for message in found]


def test_a_misspelt_variable_is_told_with_the_right_name(monkeypatch):
    monkeypatch.setenv("RLWHF_ALOWED_HOSTS", "example.org")
    (message,) = checks.unknown_variables(None)
    assert message.id == "rlwhf.W001"
    assert "RLWHF_ALLOWED_HOSTS" in message.hint


def test_an_unknown_queue_is_told(settings):
    settings.BROKER_URL = "kafka://somewhere"
    assert ids(checks.broker_address(None)) == ["rlwhf.E001"]
    settings.BROKER_URL = "amqp://somewhere"
    assert checks.broker_address(None) == []


def test_a_kind_of_job_that_is_not_there_is_told(settings):
    settings.JOB_KINDS = {"a": "nowhere.Kind", "b": "pathlib.Path", "c": "jobs.kinds.JobKind"}
    assert ids(checks.job_kinds(None)) == ["rlwhf.E002", "rlwhf.E003"]


def test_a_chore_that_is_not_there_is_told(settings):
    assert checks.chores(None) == []
    settings.CHORES = {"annotations.services.rollups.nothing": 30}
    assert ids(checks.chores(None)) == ["rlwhf.E008"]


def test_a_lease_too_short_to_renew_is_told(settings):
    settings.JOB_LEASE_SECONDS = 1
    settings.JOB_STOP_GRACE_SECONDS = -1
    assert ids(checks.job_times(None)) == ["rlwhf.E004", "rlwhf.E005"]


def test_debug_on_a_public_site_is_told(settings):
    settings.HTTPS, settings.DEBUG, settings.ALLOWED_HOSTS = True, True, ["*"]
    assert ids(checks.secrets_and_proxies(None)) == ["rlwhf.E006", "rlwhf.W002"]


def test_a_public_site_that_only_this_machine_can_open_is_told(settings):
    settings.ALLOWED_HOSTS = ["localhost"]
    assert ids(checks.reachable_hosts(None)) == ["rlwhf.W003"]


def test_database_addresses_are_read_as_libpq_reads_them():
    read = database("postgresql://me:p%40ss@/my%20db?host=/a%20b%2Bc&sslmode=require")
    assert (read["USER"], read["PASSWORD"], read["NAME"], read["HOST"]) == ("me", "p@ss", "my db", "/a b+c")
    assert read["OPTIONS"]["sslmode"] == "require"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DATABASE_URL", "mysql://somewhere/x", "DATABASE_URL must start with postgresql://"),
        ("DATABASE_URL", "postgresql://somewhere:12x/x", "DATABASE_URL has a wrong port"),
        ("RLWHF_JOB_LEASE_SECONDS", "soon", "RLWHF_JOB_LEASE_SECONDS must be a number"),
    ],
)
def test_a_setting_that_cannot_be_read_is_one_sentence(name, value, told, monkeypatch):
    monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "manage.py", "check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_start_with_a_wrong_setting_is_refused(monkeypatch):
    monkeypatch.setenv("BROKER_URL", "kafka://somewhere")
    done = subprocess.run([sys.executable, "manage.py", "up"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "rlwhf.E001" in done.stderr


def test_what_is_checked_at_a_start_imports_no_page():
    code = (
        "import sys, django; django.setup(); from django.core.checks import run_checks; from rlwhf_site.checks import SETTINGS; "
        "run_checks(tags=[SETTINGS]); print([name for name in ('rlwhf_site.urls', 'rlwhf_site.api') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_variable_is_known_and_documented():
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    sources = [path for app in ("rlwhf_site", "jobs", "accounts", "training", "evaluation", "annotations", "dashboards", "tests")
               for path in (ROOT / app).rglob("*.py") if path.name != "test_checks.py"]  # fmt: skip
    read = set(re.findall(r'"(RLWHF_[A-Z_]+)"', "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    assert read - checks.INTERNAL_VARIABLES == checks.KNOWN_VARIABLES
    missing = [name for name in sorted(checks.KNOWN_VARIABLES | {"DATABASE_URL", "BROKER_URL"}) if f"`{name}`" not in documented]
    assert not missing
