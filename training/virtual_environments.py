"""Environments for what cannot live among the site's own packages: made on demand by venv and pip, and kept.

Each is a folder below `RLWHF_ENVIRONMENTS`, named after what is in it, so that another set of packages is another folder and what
goes on keeps its own. Only the standard library is needed here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.child import write_json
from jobs.site_secrets import environment_without_keys
from training.exceptions import TrainingError

FOLDER_VARIABLE: Final = "RLWHF_ENVIRONMENTS"
SITE_LOCK: Final = Path(__file__).resolve().parents[1] / "requirements" / "site.txt"
FROM_SITE: Final = "# from the site: "
"""Stands before the names of the site's packages that a list of requirements counts on."""
READY: Final = "ready.json"
BUILDING: Final = ".building-"
LOG: Final = "install.txt"
ABANDONED_S: Final = 3 * 3600
LOOK_EVERY_S: Final = 1.0

# (packages done, packages in all, what is being done)
Progress = Callable[[int, int, str], object]


class EnvironmentFailed(TrainingError):  # noqa: N818 (says what happened)
    """An environment could not be made, or is not there."""

    kind = "environment"


@dataclass(frozen=True)
class VirtualEnvironment:
    """What is in an environment, and how it is tried. `title` is for people.

    `probe` is Python that imports what has to work there and prints its version. `complete`: the requirements name all that is
    installed; else pip adds what they need on this machine. `on_site`: it stands upon the site's own packages, with its own
    before them.
    """

    name: str
    title: str
    requirements: Path
    probe: str
    size_bytes: int
    complete: bool = True
    on_site: bool = False
    roots: tuple[str, ...] = ()
    """What it is made for; `scripts/lock.py --harnesses` writes the requirements that these bring along."""
    left_out: tuple[str, ...] = ()
    """Requirements of a part that is never used here, with a licence that is not for us."""

    @property
    def packages(self) -> list[str]:
        """Every package with its exact version, as pip takes it."""
        return [line for line in _lines(self.requirements) if not line.startswith("#")]

    @property
    def of_site(self) -> list[str]:
        """Those of the site's packages, as its lock has them now, that are needed here too."""
        mark = FROM_SITE.strip()
        named = {line.removeprefix(mark).strip() for line in _lines(self.requirements) if line.startswith(mark)}
        return [line for line in _lines(SITE_LOCK) if line.partition("==")[0] in named]

    @property
    def folder(self) -> Path:
        """Where it lies, or would: after its packages, the Python that makes it, and what it needs of the site's packages."""
        what = [*self.packages, f"{sys.version_info.major}.{sys.version_info.minor}", sys.platform]
        if self.on_site:
            what += [sys.prefix, *self.of_site]
        return home() / f"{self.name}-{hashlib.sha256(chr(10).join(what).encode()).hexdigest()[:12]}"

    @property
    def python(self) -> Path:
        return python_in(self.folder)

    @property
    def is_ready(self) -> bool:
        """Whether it was made to its end."""
        return (self.folder / READY).is_file()

    @property
    def made(self) -> dict[str, Any]:
        """What was written down when it was made; nothing where it is not there."""
        if not self.is_ready:
            return {}
        values: dict[str, Any] = json.loads((self.folder / READY).read_text(encoding="utf-8"))
        return values


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [line.strip() for line in text.splitlines() if line.strip()]


def home() -> Path:
    """The folder of all environments."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path.home() / ".cache" / "rlwhf" / "environments").absolute()


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def ensure(wanted: VirtualEnvironment, progress: Progress) -> Path:
    """The environment's interpreter, the environment made first where it is not there. Raises EnvironmentFailed."""
    remove_abandoned(home())
    folder = wanted.folder
    if not (folder / READY).is_file():
        make(wanted, folder, progress)
    return python_in(folder)


def make(wanted: VirtualEnvironment, folder: Path, progress: Progress) -> None:
    """Make the environment in `folder`: aside first, and renamed when it is whole, so that nobody meets half of one.

    Takes some minutes and `size_bytes` on disk. Raises EnvironmentFailed. Two that make it at once do no harm: the second finds
    the first one's and removes its own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_room(wanted, folder.parent)
    started, total = time.time(), 2 * len(wanted.packages)
    with _aside(folder) as building:
        progress(0, total, f"making an environment for {wanted.title}")
        _run([sys.executable, "-m", "venv", str(building)], wanted)
        if wanted.on_site:
            _stand_on_site(building)
        _install(wanted, building, progress)
        progress(total, total, "trying the environment")
        python = str(python_in(building))
        said = _run([python, "-c", wanted.probe], wanted).strip().splitlines()
        _check(python, wanted)
        _scripts_moved(building, folder)
        made = {wanted.title: said[-1], "python": sys.version.split()[0], "seconds": round(time.time() - started)}
        write_json(building / READY, made)
        _settle(building, folder)


def remove_abandoned(where: Path) -> None:
    """What a process that was killed had begun. Its number says nothing on a shared path; its age does."""
    for left in where.glob(f"{BUILDING}*"):
        with suppress(FileNotFoundError):  # another process has just ended it
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def _check_room(wanted: VirtualEnvironment, where: Path) -> None:
    need, free = 1.5 * wanted.size_bytes, shutil.disk_usage(where).free
    if free < need:
        raise EnvironmentFailed(
            f"The environment of {wanted.title} needs {need / 1e9:.1f} GB in {where}, and {free / 1e9:.1f} GB are free.",
            f"Make room, or name another folder with {FOLDER_VARIABLE}.",
        )


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, removed where it was not renamed."""
    building = folder.with_name(f"{BUILDING}{os.getpid()}-{time.time_ns()}")
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _stand_on_site(building: Path) -> None:
    """Have it find the site's packages behind its own: by a path file, which comes after what is installed here."""
    inside = next(building.glob("[lL]ib/**/site-packages"))
    for old in inside.glob("setuptools*"):  # venv's own, which is older than what the site's packages ask for
        shutil.rmtree(old)
    (inside / "site-packages-of-the-site.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")


def _install(wanted: VirtualEnvironment, building: Path, progress: Progress) -> None:
    """Install all packages, and tell how many are found, and then how many are in place."""
    total, log = len(wanted.packages), building / LOG
    command = [str(python_in(building)), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    with log.open("wb") as file:
        child = subprocess.Popen(
            [*command, *(["--no-deps"] if wanted.complete else []), "-r", str(wanted.requirements)],
            stdout=file, stderr=subprocess.STDOUT, env=environment_without_keys(),
        )  # fmt: skip
        try:
            while child.poll() is None:
                found = log.read_bytes().count(b"\nCollecting ") + 1
                placed = len(list(building.glob("[lL]ib/**/site-packages/*.dist-info")))
                done = min(found, total) + min(placed, total)
                placing = f"installing {wanted.title}: {placed} of {total} packages"
                progress(min(done, 2 * total - 1), 2 * total, placing if placed > 3 else f"fetching {found} of {total} packages")
                time.sleep(LOOK_EVERY_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode:
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.startswith("ERROR")]
        reason = " ".join(said[-2:]) or f"pip ended with {child.returncode}"
        raise EnvironmentFailed(
            f"The packages of {wanted.title} could not be installed: {reason}",
            "The machine must reach a package index; see pip's configuration for one of your own.",
        )


def _scripts_moved(building: Path, folder: Path) -> None:
    """Have the environment's scripts name the Python that it will have once it is renamed."""
    for script in python_in(building).parent.iterdir():
        if script.is_file() and not script.is_symlink():
            text = script.read_bytes()
            if bytes(building) in text[:4096]:
                script.write_bytes(text.replace(bytes(building), bytes(folder)))


def _check(python: str, wanted: VirtualEnvironment) -> None:
    """Raise EnvironmentFailed where a package lacks another one, or has it at a version that it does not take."""
    done = subprocess.run(
        [python, "-m", "pip", "check"], capture_output=True, text=True, check=False, env=environment_without_keys()
    )  # fmt: skip
    meant = tuple(f"requires {name}, which is not installed." for name in wanted.left_out)
    wrong = [line for line in done.stdout.splitlines() if line and not line.endswith(meant)]
    if done.returncode and wrong:
        raise EnvironmentFailed(f"The packages of {wanted.title} do not go together: {' '.join(wrong[:3])}")


def _settle(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError as error:
        if not (folder / READY).is_file():  # else somebody else has made the same meanwhile
            raise EnvironmentFailed(f"{folder} could not be written: {error}.", f"Remove {folder}, if it is there.") from error


def _run(command: list[str], wanted: VirtualEnvironment) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment_without_keys())
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise EnvironmentFailed(f"The environment of {wanted.title} could not be made: {last}", "The log has the details.")
    return done.stdout
