"""Make the project's environment, then run the site or the tests in it. Started by `bootstrap.py`, on Python 3.11 to 3.13.

The environment is `.venv`; a stamp in it names the lock files it was made from, so that the next start skips all this.
Only the standard library is used: nothing else is installed yet.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rlwhf_site.locks import try_lock  # noqa: E402 (the project is not installed yet: its path comes first)

VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"
LOG = VENV / "install.log"
WINDOWS = os.name == "nt"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
PACKAGES = ["rlwhf_site", "dashboards", "evaluation", "training", "annotations", "jobs", "accounts"]
# Measured: 1.9 GB with PyTorch's CPU build. Its build for NVIDIA cards, which Linux gets by default, needs three times that.
NEEDED_BYTES = 3 * 10**9
SAY_EVERY_S = 20.0


class InstallError(Exception):
    """Why the environment cannot be made: one sentence that says what to do."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def digest(lock: str) -> str:
    """What the environment depends on: the lock file, the project's own packaging, and the Python version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [
        (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8"),
        json.dumps([project["project"], project["tool"]["setuptools"]], sort_keys=True),
        f"{sys.version_info[0]}.{sys.version_info[1]}",
        str(ROOT),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def wanted_stamp(locks: list[str]) -> dict[str, str]:
    return {lock: digest(lock) for lock in locks}


def installed_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_ready(locks: list[str]) -> bool:
    return PYTHON.exists() and wanted_stamp(locks).items() <= installed_stamp().items()


def install(locks: list[str]) -> None:
    """Make sure `.venv` holds what these locks name. Raises InstallError."""
    if is_ready(locks):
        return
    waited = False
    while (lock := try_lock(ROOT / ".venv.lock")) is None:
        if not waited:
            say("Waiting for another installation in this folder to end …")
        waited = True
        time.sleep(1)
    with lock:
        if not is_ready(locks):
            _install(locks)


def _install(locks: list[str]) -> None:
    check_python_can_make_environments()
    check_disk(shutil.disk_usage(ROOT).free)
    started = time.monotonic()
    if not environment_works():
        say(f"Making the environment {VENV} …")
        make_environment()
    known = installed_stamp()
    STAMP.unlink(missing_ok=True)
    say(f"Installing the pinned packages (some minutes the first time; details in {LOG}) …")
    arguments = [argument for lock in locks for argument in ("-r", str(ROOT / "requirements" / f"{lock}.txt"))]
    pip_install([*arguments, "--progress-bar", "off", "--no-compile"])
    compile_packages()
    # setuptools is in the lock, so building the project's own entry needs nothing from the registry.
    pip_install(["--no-deps", "--no-build-isolation", "--quiet", "-e", str(ROOT)])
    # An environment for the tests stays one when only the site's lock is asked for again.
    still_good = {name: value for name, value in known.items() if name not in locks and value == digest(name)}
    STAMP.write_text(json.dumps(still_good | wanted_stamp(locks)), encoding="utf-8")
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def check_python_can_make_environments() -> None:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise InstallError(
        f"This Python ({sys.executable}) lacks its venv module: install it (on Debian and Ubuntu: "
        f"`apt install python{version}-venv`) and run the same command again."
    )


def check_disk(free: int) -> None:
    if free < NEEDED_BYTES:
        raise InstallError(
            f"The disk is full: {free / 10**9:.1f} GB are free at {ROOT}, and the installation needs "
            f"{NEEDED_BYTES / 10**9:.0f} GB (about 8 GB with NVIDIA's libraries); make room and run the same command again."
        )


def environment_works() -> bool:
    """Whether `.venv` has a working Python of this version with pip: not a half-made one, nor one whose Python has gone."""
    probe = "import pip, sys; print(sys.version_info[:2])"
    try:
        done = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == str(tuple(sys.version_info[:2]))


def make_environment() -> None:
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(reason_for(done.stdout + done.stderr))


def pip_install(arguments: list[str]) -> None:
    """`pip install` with its output in the log and a line now and then for the person who waits."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    output: list[str] = []
    with LOG.open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
        assert process.stdout is not None
        said = time.monotonic()
        for line in process.stdout:
            log.write(line)
            output.append(line)
            if time.monotonic() - said > SAY_EVERY_S and (now := progress(line)):
                say(f"  {now}")
                said = time.monotonic()
    if process.wait() != 0:
        raise InstallError(reason_for("".join(output)))


# A third of 26,000 files: packages' own tests, the hundreds of models in transformers, tables of the world's telephone numbers.
# What of these is imported after all is compiled then.
SELDOM_IMPORTED = r"[\\/]tests?[\\/]|transformers[\\/]models[\\/]|phonenumbers[\\/][a-z]*data[\\/]"


def compile_packages() -> None:
    """What `pip install` does on one core, on all of them, and of what is likely to be imported."""
    say("Compiling everything …")
    where = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    )
    # Some packages bring templates that are no Python: such files fail, and are what nobody imports.
    command = [PYTHON, "-m", "compileall", "-q", "-j", "0", "-x", SELDOM_IMPORTED, where.stdout.strip()]
    subprocess.run(command, capture_output=True, check=False)


def progress(line: str) -> str | None:
    """A line of pip's that a waiting person understands, shortened; None for any other."""
    if found := re.match(r"\s*(Collecting|Downloading|Building wheel for|Installing collected packages)\s*:?\s*(\S*)", line):
        what, name = found.groups()
        return "Unpacking everything …" if what.startswith("Installing") else f"{what} {name.rsplit('/', 1)[-1]} …"
    return None


def reason_for(output: str) -> str:
    """One sentence for what stopped the installation, from what pip or venv printed."""
    for pattern, sentence in REASONS:
        if found := re.search(pattern, output, re.IGNORECASE):
            return sentence(found)
    errors = [line for line in output.splitlines() if "error" in line.lower()] or output.splitlines() or ["no output"]
    return f"The installation failed: {errors[-1].strip()} (all of it is in {LOG})."


def _no_registry(_: re.Match[str]) -> str:
    return (
        "The package registry cannot be reached: check the network (or pip's settings for your proxy or mirror) "
        "and run the same command again; it goes on where it stopped."
    )


def _full_disk(_: re.Match[str]) -> str:
    return (
        "The disk is full (the temporary folder counts too: TMPDIR moves it): make room, about 3 GB "
        "(8 GB with NVIDIA's libraries), and run the same command again."
    )


def _no_compiler(found: re.Match[str]) -> str:
    package = (found.groupdict().get("package") or "A package").strip()
    return (
        f"{package} has no ready-made build for this machine and there is no compiler to make one: get one (Debian, Ubuntu: "
        "`apt install build-essential`; macOS: `xcode-select --install`; Windows: the Visual Studio Build Tools), "
        "or take python.org's 64-bit Python 3.11 to 3.13, then run the same command again."
    )


def _not_offered(found: re.Match[str]) -> str:
    return (
        f"The package registry does not offer {found['wanted']} for this machine ({sys.platform}, Python "
        f"{sys.version_info[0]}.{sys.version_info[1]}): take a 64-bit Python 3.11 to 3.13 on Linux, macOS or Windows, "
        "or a registry that has it."
    )


def _no_permission(found: re.Match[str]) -> str:
    return f"This user may not write {found['path']}: run the command as the owner of {ROOT}."


REASONS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"No space left on device|\[Errno 28\]|disk quota exceeded", _full_disk),
    (
        r"NewConnectionError|Failed to establish a new connection|NameResolutionError|name resolution|ConnectTimeoutError"
        r"|ReadTimeoutError|Connection refused|ProxyError|Connection aborted|Network is unreachable|SSLError|Read timed out",
        _no_registry,
    ),
    (
        r"(?:Building wheel for (?P<package>\S+)(?:.|\n)*?)?(?:Microsoft Visual C\+\+ .* is required"
        r"|command '?\S*(?:gcc|g\+\+|cc|clang|c\+\+)'? failed: No such file|unable to execute '\S+': No such file"
        r"|No such file or directory: '\S*(?:gcc|g\+\+|cc|clang|cargo|cmake)'|No CMAKE_CXX?_COMPILER|xcrun: error"
        r"|Unknown compiler\(s\)|can't find Rust compiler)",
        _no_compiler,
    ),
    (r"No matching distribution found for (?P<wanted>\S+)", _not_offered),
    (r"Permission denied: '(?P<path>[^']*)'", _no_permission),
]


def lint() -> list[str]:
    """Linters, types and walls. Returns the names of those that found something."""
    tools = {
        "ruff": [str(PYTHON), "-m", "ruff", "check", "."],
        "mypy": [str(PYTHON), "-m", "mypy", *PACKAGES],
        "import-linter": [str(PYTHON), "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    }
    failed = []
    for name, command in tools.items():
        started = time.monotonic()
        say(f"== {name}")
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            failed.append(name)
        say(f"   {time.monotonic() - started:.0f} s")
    return failed


def cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


# A module's tests stay together, in order: what they share is made once, and browsers are not begun anew.
SPREAD = ("--dist", "loadscope", "--no-loadscope-reorder")


def run_tests(arguments: list[str], *, full: bool) -> int:
    """Pytest on all cores with the linters beside it, whose output follows. Returns the exit status."""
    # Set in many container images; then every process that a test starts would compile the project anew, and keep nothing of it.
    compiling = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([str(PYTHON), "-m", "tests.compiled", *PACKAGES], cwd=ROOT, env=compiling, check=False)
    # "full or not full" lifts pyproject's deselection of the long tests.
    selection = ["-m", "full or not full"] if full else []
    # Two more than there are cores, for many tests wait for a browser or for processes that they started.
    command = [str(PYTHON), "-m", "pytest", "-q", "-n", str(cores() + 2), *SPREAD, *selection, *arguments]
    linters = [sys.executable, str(Path(__file__).resolve()), "lint"]
    with tempfile.TemporaryFile() as found, subprocess.Popen(linters, stdout=found, stderr=subprocess.STDOUT) as linting:
        say("== pytest, with the linters beside it")
        status = subprocess.run(command, cwd=ROOT, env=compiling, check=False).returncode
        failed = linting.wait()
        found.seek(0)
        say(found.read().decode("utf-8", "replace"))
    if failed:
        say("The linters found something, see above.")
    return status or failed


def run_site(arguments: list[str]) -> int:
    command = [str(PYTHON), str(ROOT / "manage.py"), "up", *arguments]
    if not WINDOWS:
        os.execv(command[0], command)
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # Ctrl-C reaches the site as well: wait for it to stop
                continue


def main() -> int:
    parser = argparse.ArgumentParser(prog="bootstrap.py", description="Make the environment, then run the site or the tests.")
    parser.add_argument("command", choices=["run", "install", "test", "test-full", "lint"])
    command, arguments = parser.parse_known_args()
    testing = command.command not in {"run", "install"}
    try:
        install(["site", "test"] if testing else ["site"])
    except (InstallError, OSError) as error:
        sys.stderr.write(f"{error if isinstance(error, InstallError) else reason_for(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; run the same command again to go on.\n")
        return 130
    match command.command:
        case "run":
            return run_site(arguments)
        case "test" | "test-full":
            return run_tests(arguments, full=command.command == "test-full")
        case "lint":
            return 1 if lint() else 0
    say("The environment is ready: `make run` starts the site.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
