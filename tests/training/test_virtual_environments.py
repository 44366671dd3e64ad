"""Environments beside the site's own: what they are named after, and what pip is told. How one is made, ms-swift's tests see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.harnesses.environment import ENVIRONMENTS
from evaluation.harnesses.table import HARNESSES
from jobs.site_secrets import environment_without_keys
from training import virtual_environments
from training.virtual_environments import BUILDING, FOLDER_VARIABLE, EnvironmentFailed, ensure


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_every_harness_has_an_environment_with_exact_packages() -> None:
    for harness in HARNESSES.values():
        wanted = ENVIRONMENTS[harness.environment]
        assert f"{harness.package}=={harness.version}" in wanted.packages
        assert any(root.partition("[")[0].startswith(harness.package) and root.endswith(harness.version) for root in wanted.roots)
        assert all(line.partition(";")[0].count("==") == 1 for line in wanted.packages)


def test_what_stands_on_the_site_is_another_once_the_sites_packages_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that the site drops or moves would be missing in an environment that was made upon the old ones."""
    upon, apart = ENVIRONMENTS["harness"], ENVIRONMENTS["evalscope"]
    before, lines = (upon.folder, apart.folder), virtual_environments.SITE_LOCK.read_text().splitlines()
    needed = [line for line in upon.of_site if line.startswith("jinja2==")]
    assert needed and not apart.of_site
    assert not set(upon.of_site) & set(upon.packages)
    lock = tmp_path / "site.txt"
    monkeypatch.setattr(virtual_environments, "SITE_LOCK", lock)
    lock.write_text("\n".join([*lines, "one-more==1.0"]))
    assert (upon.folder, apart.folder) == before, "it needs no such package"
    for other in ("jinja2==4.0", ""):
        lock.write_text("\n".join(other if line in needed else line for line in lines))
        assert upon.folder != before[0]
        assert apart.folder == before[1]


def test_what_was_begun_and_left_is_removed_whoever_asks(place: Path) -> None:
    """On a site that never uses ms-swift too."""
    wanted = ENVIRONMENTS["evalscope"]
    wanted.folder.mkdir()
    (wanted.folder / "ready.json").write_text("{}")
    (place / f"{BUILDING}long-ago").mkdir()
    os.utime(place / f"{BUILDING}long-ago", (1, 1))
    (place / f"{BUILDING}now").mkdir()
    assert ensure(wanted, lambda *_: pytest.fail("it is there")) == wanted.python
    assert {one.name for one in place.iterdir()} == {wanted.folder.name, f"{BUILDING}now"}


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched() -> None:
    with pytest.raises(EnvironmentFailed, match=r"EvalScope needs .* are free"):
        ensure(replace(ENVIRONMENTS["evalscope"], size_bytes=10**18), lambda *_: pytest.fail("nothing is made"))


def test_builds_of_other_peoples_packages_get_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {
        "RLWHF_ENDPOINT_KEY",
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "AZURE_CLIENT_SECRET",
        "DATABASE_URL",
        "DB_PASSWORD",
        "MY_APIKEY",
    }
    needed = {"PATH": "/bin", "PIP_INDEX_URL": "https://u:p@index", "TOKENIZERS_PARALLELISM": "false", "KEYBOARD": "pt"}
    for name in secret:
        monkeypatch.setenv(name, "x")
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    left = environment_without_keys()
    assert not secret & left.keys()
    assert left.items() >= needed.items()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_pins_are_what_the_harnesses_bring_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it that the site's own lock does not hold: what only its tests need is not there on a site."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(Path.home() / ".cache" / "rlwhf" / "environments"))
    for wanted in ENVIRONMENTS.values():
        ensure(wanted, lambda *_: None)
    lock = Path(__file__).parents[2] / "scripts" / "lock.py"
    done = subprocess.run(
        [sys.executable, lock, "--harnesses", "--check"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "harnesses" not in done.stdout + done.stderr


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_harnesses_own_programs_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """People look at Inspect's logs with `inspect view`. The environment is made first where there is none yet."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(Path.home() / ".cache" / "rlwhf" / "environments"))
    began, told = time.monotonic(), []
    python = ensure(ENVIRONMENTS["harness"], lambda *news: told.append(news))
    print(f"{time.monotonic() - began:.0f} s, {told[-1:]}", file=sys.stderr)
    for command in (["inspect", "--version"], ["lm_eval", "--help"]):
        done = subprocess.run([python.parent / command[0], *command[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
