"""Write `requirements/*.txt` from the environment that runs this: every package the project needs, at its exact version.

    .venv/bin/python scripts/lock.py
    .venv/bin/python scripts/lock.py --harnesses           # and from the harnesses' environments, what is in these
    .venv/bin/python scripts/lock.py --harnesses --check   # write nothing; status 1 where a file is not what would be written

Run it after a change of `pyproject.toml`, in an environment that has the new versions and passes the tests. It walks the
installed packages' own requirements, for every platform and Python the project supports, so that one file serves them
all; nothing in it names an index or a path.
"""

import itertools
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PLATFORMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    "darwin": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    "win32": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
}
PYTHONS = ("3.11", "3.12", "3.13")
# Needed on some other platform only, so not installed on the one that writes the lock.
ELSEWHERE = {"colorama": "0.4.6", "tzdata": "2026.6"}
HEADING = "# Written by scripts/lock.py from {source}; do not edit.\n"
SITE, HARNESSES = "pyproject.toml", "evaluation/harnesses/environment.py"


def environments() -> list[dict[str, str]]:
    """Every supported platform with every supported Python, as marker environments."""
    return [
        PLATFORMS[platform] | {"python_version": python, "python_full_version": f"{python}.9", "implementation_name": "cpython"}
        for platform, python in itertools.product(PLATFORMS, PYTHONS)
    ]


def applies(requirement: Requirement, environment: dict[str, str], extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate(environment | {"extra": extra}) for extra in extras or {""})


def closure(wanted: list[str], environment: dict[str, str]) -> set[str]:
    """The names of all packages that `wanted` bring along in this environment."""
    found: dict[str, set[str]] = {}
    waiting = [parsed for parsed in map(Requirement, wanted) if applies(parsed, environment, set())]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras | {""}
        if f"--without={name}" in sys.argv:
            continue
        if name in found and extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | extras
        waiting += [parsed for parsed in map(Requirement, requirements_of(name)) if applies(parsed, environment, found[name])]
    return set(found)


def requirements_of(name: str) -> list[str]:
    if name in ELSEWHERE:
        return []
    return metadata.requires(name) or []


def version_of(name: str) -> str:
    """The exact version, less a build's own suffix: `2.13.0+cpu` and the registry's 2.13.0 both satisfy 2.13.0."""
    return ELSEWHERE.get(name) or metadata.version(name).split("+")[0]


def lock_lines(wanted: list[str]) -> list[str]:
    """`name==version` lines, with a marker where only some platforms need the package."""
    needed_on: dict[str, set[str]] = {}
    for environment in environments():
        for name in closure(wanted, environment):
            needed_on.setdefault(name, set()).add(environment["sys_platform"])
    lines = []
    for name in sorted(needed_on):
        only = needed_on[name]
        marker = "" if only == set(PLATFORMS) else " ; " + " or ".join(f'sys_platform == "{each}"' for each in sorted(only))
        lines.append(f"{name}=={version_of(name)}{marker}")
    return lines


def site_files() -> dict[Path, list[str]]:
    """What the site needs, and what its tests need besides."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = lock_lines(project["dependencies"])
    extras = list(itertools.chain.from_iterable(project["optional-dependencies"].values()))
    test = [line for line in lock_lines(project["dependencies"] + extras) if line not in site]
    return {ROOT / "requirements" / "site.txt": site, ROOT / "requirements" / "test.txt": test}


def harness_files(site: list[str]) -> dict[Path, list[str]]:
    """What each environment of harnesses needs, as its own Python sees it; of the site's packages the names alone."""
    sys.path.insert(0, str(ROOT))
    # the project need not be importable elsewhere
    from evaluation.harnesses.environment import ENVIRONMENTS  # noqa: PLC0415
    from training.virtual_environments import FROM_SITE  # noqa: PLC0415

    files = {}
    for wanted in ENVIRONMENTS.values():
        if not wanted.is_ready:
            sys.exit(f"The environment of {wanted.title} is not there: an evaluation through it makes it.")
        without = [f"--without={name}" for name in wanted.left_out]
        command = [str(wanted.python), str(Path(__file__).resolve()), "--print", *without, *wanted.roots]
        lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
        shared = [line for line in lines if wanted.on_site and line in site]
        names = [FROM_SITE + line.partition("==")[0] for line in shared]
        files[wanted.requirements] = [line for line in lines if line not in shared] + names
    return files


def differs(path: Path, lines: list[str]) -> bool:
    """Write the file where it is not so already, or with `--check` only say so."""
    source = SITE if path.parent.name == "requirements" else HARNESSES
    content = HEADING.format(source=source) + "\n".join(lines) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == content:
        return False
    if "--check" not in sys.argv:
        path.write_text(content, encoding="utf-8", newline="\n")
    count = sum(not line.startswith("#") for line in lines)
    sys.stdout.write(f"{path.relative_to(ROOT)}: {count} packages\n")
    return True


def main() -> int:
    if "--print" in sys.argv:
        roots = [one for one in sys.argv[1:] if not one.startswith("--")]
        sys.stdout.write("\n".join(lock_lines(roots)) + "\n")
        return 0
    files = site_files()
    if "--harnesses" in sys.argv:
        files |= harness_files(files[ROOT / "requirements" / "site.txt"])
    changed = [path for path, lines in files.items() if differs(path, lines)]
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
