"""Where ms-swift's environment lies, and how it is made: really made, of one small package that is built here."""

import os
import subprocess
import sys
import time

import pytest

from training.backends.swift import environment as swift_environment
from training.backends.swift.environment import ensure, environment, packages, version_wanted
from training.virtual_environments import EnvironmentFailed

PROJECT = """
[project]
name = "ms_swift"
version = "9.9.9"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# The least that pip takes for a build: a wheel with a module named swift.
BACKEND = """
import os, zipfile
def build_wheel(where, config_settings=None, metadata_directory=None):
    with open("environment.txt", "w") as file:
        file.write(repr(dict(os.environ)))
    name = "ms_swift-9.9.9-py3-none-any.whl"
    about = "ms_swift-9.9.9.dist-info/"
    with zipfile.ZipFile(f"{where}/{name}", "w") as file:
        file.writestr("swift/__init__.py", "import sys; __version__ = '9.9.9'\\ndef main(): print(sys.prefix)")
        file.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: ms_swift\\nVersion: 9.9.9\\n")
        file.writestr(about + "entry_points.txt", "[console_scripts]\\nswift = swift:main\\n")
        file.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(about + "RECORD", "")
    return name
def get_requires_for_build_wheel(config_settings=None):
    return []
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for environments, and requirements that need no package index."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "backend.py").write_text(BACKEND)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"# small\nms_swift @ {project.as_uri()}\n")
    monkeypatch.setattr(swift_environment, "REQUIREMENTS", requirements)
    monkeypatch.setattr(swift_environment, "version_wanted", lambda: "9.9.9")
    monkeypatch.setenv("RLWHF_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "1")
    monkeypatch.delenv("RLWHF_SWIFT_PYTHON", raising=False)
    return tmp_path / "environments"


def test_the_requirements_are_exact():
    assert version_wanted() == "4.6.0"
    assert all(line.count("==") == 1 for line in packages()), "a version that floats makes another environment every day"
    assert {"msgspec", "orjson", "pydantic", "torch"} <= {line.partition("==")[0] for line in packages()}


@pytest.mark.full
def test_an_environment_is_made_once_with_progress_and_found_again(place, tmp_path, monkeypatch):
    told = []
    monkeypatch.setenv("RLWHF_ENDPOINT_KEY", "sk-endpoint")
    monkeypatch.setenv("HF_TOKEN", "hf-worker")
    found = environment()
    assert found.managed and not found.is_ready and found.folder.parent == place
    (place / ".building-gone").mkdir(parents=True)
    os.utime(place / ".building-gone", (1, 1))
    made = ensure(lambda done, total, note: told.append((done, total, note)))
    assert made == found and made.is_ready and told[0][2].startswith("making") and told[-1][0] == told[-1][1]
    assert [one.name for one in place.iterdir()] == [made.folder.name], "nothing that was begun is left"
    said = subprocess.run(
        [made.python, "-c", "import swift, sys; print(swift.__version__, sys.prefix)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.split() == ["9.9.9", str(made.folder)], "an environment that was moved still works"
    script = subprocess.run([made.folder / "bin" / "swift"], capture_output=True, text=True, check=False)
    assert script.stdout.split() == [str(made.folder)], "and so do its scripts"
    built_in = (tmp_path / "project" / "environment.txt").read_text()
    assert "PATH" in built_in and "sk-endpoint" not in built_in and "hf-worker" not in built_in, "no keys for strangers' builds"
    assert made.described()["made"]["ms-swift"] == "9.9.9"
    began = time.monotonic()
    ensure(lambda *_: pytest.fail("it is there"))
    assert time.monotonic() - began < 1


@pytest.mark.full
def test_packages_that_cannot_be_had_are_told_and_nothing_half_made_is_left(place):
    swift_environment.REQUIREMENTS.write_text("no-such-package==1.0\n")
    with pytest.raises(EnvironmentFailed, match="no-such-package"):
        ensure(lambda *_: None)
    assert not environment().is_ready and list(place.iterdir()) == []


def test_what_was_stopped_while_it_was_made_is_removed_later_also_where_another_has_made_it(place):
    found = environment()
    found.folder.mkdir(parents=True)
    (found.folder / "ready.json").write_text("{}")
    for name, when in ((".building-long-ago", 1), (".building-now", time.time())):
        (place / name).mkdir()
        os.utime(place / name, (when, when))
    assert ensure(lambda *_: pytest.fail("it is there")) == found
    assert {one.name for one in place.iterdir()} == {found.folder.name, ".building-now"}


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(place, monkeypatch):
    monkeypatch.setattr(swift_environment, "SIZE_BYTES", 10**18)
    with pytest.raises(EnvironmentFailed, match="are free"):
        ensure(lambda *_: None)


def test_an_environment_of_a_persons_own_is_used_as_it_is(monkeypatch):
    monkeypatch.setenv("RLWHF_SWIFT_PYTHON", sys.executable)
    found = ensure(lambda *_: pytest.fail("nothing is made"))
    assert str(found.python) == sys.executable and not found.managed
    monkeypatch.setenv("RLWHF_SWIFT_PYTHON", "/nowhere/python")
    with pytest.raises(EnvironmentFailed, match="no such file"):
        ensure(lambda *_: None)
