"""What `make run` and `make test` do before anything is installed."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import compiled

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {name: (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in ("site", "test")}
PINS = {
    name: dict(line.split(" ; ")[0].split("==") for line in text.splitlines() if "==" in line) for name, text in LOCKS.items()
}


def load(name):
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


environment = load("environment")
bootstrap = load("bootstrap")


def test_every_line_of_the_locks_is_an_exact_version():
    for text in LOCKS.values():
        for line in text.splitlines()[1:]:
            assert re.fullmatch(r'[a-z0-9-]+==[\w.]+( ; sys_platform == "\w+"( or sys_platform == "\w+")*)?', line), line


def test_the_locks_hold_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for group in project["optional-dependencies"].values() for text in group]
    for lock, wanted in {"site": project["dependencies"], "test": extras}.items():
        for requirement in map(Requirement, wanted):
            version = (PINS["site"] | PINS[lock]).get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement}: run scripts/lock.py"
            assert requirement.specifier.contains(version), f"{requirement}: run scripts/lock.py"


def test_the_locks_are_what_this_environment_gives():
    lock = load("lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert lock.lock_lines(project["dependencies"]) == LOCKS["site"].splitlines()[1:]


def test_torch_is_the_version_that_every_platform_offers():
    assert PINS["site"]["torch"] == "2.13.0"


def test_the_launcher_is_understood_by_old_pythons():
    source = (ROOT / "scripts" / "bootstrap.py").read_text(encoding="utf-8")
    compile(source, "bootstrap.py", "exec")
    assert not re.search(r"""\bf["']|->|:=|: (str|int|list)\b""", source)
    old = next((found for name in ("python3.8", "python3.6", "python2.7") if (found := shutil.which(name))), None)
    if old is None or subprocess.run([old, "-V"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no old Python here")
    assert subprocess.run([old, "-c", f"compile(open({bootstrap.__file__!r}).read(), 'x', 'exec')"], check=False).returncode == 0


def test_the_right_python_is_found_on_the_path(monkeypatch, tmp_path):
    for name in ("python3.13", "python3.12"):  # stand-ins that exist and fail, as version managers have them
        (tmp_path / name).write_text("#!/bin/sh\nexit 127\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3.11").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 1))
    assert bootstrap.suitable() is not None


def test_a_wrong_python_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "suitable", lambda: None)
    assert bootstrap.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("RLWHF needs Python 3.11, 3.12 or 3.13; this is Python ")
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)'", "registry cannot be reached"),
        (
            "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution\n"
            "ERROR: No matching distribution found for django==5.2.19",
            "registry cannot be reached",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "Building wheel for regex (pyproject.toml): started\nerror: command 'gcc' failed: No such file or directory\n",
            "regex has no ready-made build for this machine and there is no compiler",
        ),
        ("error: Microsoft Visual C++ 14.0 or greater is required.", "no compiler"),
        ("ERROR: No matching distribution found for torch==2.13.0", "does not offer torch==2.13.0 for this machine"),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x/y'", "may not write /x/y"),
        ("Something\nERROR: a thing nobody foresaw", "a thing nobody foresaw"),
    ],
)
def test_what_stops_the_installation_is_one_sentence(output, told):
    sentence = environment.reason_for(output)
    assert told in sentence
    assert "\n" not in sentence


def test_a_full_disk_is_told_before_anything_is_fetched():
    with pytest.raises(environment.InstallError, match=r"The disk is full: 1\.0 GB are free"):
        environment.check_disk(10**9)


def test_a_python_without_venv_is_told(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(environment.InstallError, match=r"apt install python3\.\d+-venv"):
        environment.check_python_can_make_environments()


def test_the_stamp_follows_the_lock_and_not_the_linters_settings(monkeypatch, tmp_path):
    (tmp_path / "requirements").mkdir()
    for name in LOCKS:
        shutil.copy(ROOT / "requirements" / f"{name}.txt", tmp_path / "requirements")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(project)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    before = environment.digest("site")
    (tmp_path / "pyproject.toml").write_text(project.replace("line-length = 130", "line-length = 120"))
    assert environment.digest("site") == before
    lock = tmp_path / "requirements" / "site.txt"
    lock.write_text(lock.read_text().replace("torch==2.13.0", "torch==2.13.1"))
    assert environment.digest("site") != before
    assert environment.digest("test") == environment.digest("test")


def test_two_installations_do_not_run_at_once(tmp_path):
    lock = environment.try_lock(tmp_path / "lock")
    assert lock is not None
    assert environment.try_lock(tmp_path / "lock") is None
    lock.close()
    environment.try_lock(tmp_path / "lock").close()


def test_no_machine_of_ours_is_named_in_the_installation():
    for path in [*(ROOT / "requirements").iterdir(), *(ROOT / "scripts").glob("*.py"), ROOT / "Makefile", ROOT / ".ci" / "run"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|file://|/root/|/opt/", text), path


def test_what_is_compiled_ahead_is_what_pytest_reads(tmp_path):
    file = tmp_path / "test_one.py"
    file.write_text("def test_one():\n    assert [1] == [2]\n")
    compiled.rewritten_all([file])
    code = rewrite._read_pyc(file, rewrite.get_cache_dir(file) / f"test_one{rewrite.PYC_TAIL}")
    assert code is not None
    names: dict = {}
    exec(code, names)
    with pytest.raises(AssertionError, match="At index 0 diff"):
        names["test_one"]()


def test_the_linters_run_beside_the_tests_and_either_fails_the_whole(monkeypatch, capfd):
    ran: list[list[str]] = []
    status = {"pytest": 0, "linters": "import sys; print('F401'); sys.exit(1)"}

    def run(command, **how):
        ran.append([command[2], "PYTHONDONTWRITEBYTECODE" in how["env"]])
        return subprocess.CompletedProcess(command, status["pytest"] if command[2] == "pytest" else 0)

    real = subprocess.Popen
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(environment.subprocess, "Popen", lambda _, **how: real([sys.executable, "-c", status["linters"]], **how))
    assert environment.run_tests([], full=False) == 1
    assert ran == [["tests.compiled", False], ["pytest", False]]
    said = capfd.readouterr().out
    assert said.index("== pytest") < said.index("F401") < said.index("The linters found something")
    status["linters"] = "pass"
    assert environment.run_tests([], full=False) == 0
    status["pytest"] = 2
    assert environment.run_tests([], full=False) == 2


def test_what_is_installed_is_compiled_and_templates_that_are_no_python_are_passed_over(monkeypatch, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    monkeypatch.setattr(environment, "PYTHON", tmp_path / environment.PYTHON.relative_to(environment.VENV))
    (packages,) = tmp_path.rglob("site-packages")
    (packages / "good.py").write_text("x = 1\n")
    (packages / "template.py").write_text("class {{name}}:\n")
    environment.compile_packages()
    assert [file.name.split(".")[0] for file in packages.rglob("*.pyc")] == ["good"]
