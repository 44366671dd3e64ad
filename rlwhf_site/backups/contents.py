"""Which files of the state folder a backup holds, and copying them while jobs work on some of them."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs.child import read_json
from jobs.folders import CHILD
from rlwhf_site.backups.archive import FILES, Writer

# What is made anew, or holds for one run of the site only. The database is dumped instead: copied files of a running server are
# worth nothing.
NOT_KEPT = {"postgres", "run", "logs", "static", "cache", "fetched"}
# Left by a restore: what it replaced, and what it had not finished.
REPLACED, RESTORING = "replaced-", "restoring-"
# Whoever holds these can sign sessions, read other servers' keys in the database, and come in as a worker.
KEYS = {"secret_key", "secrets_key", "signing_key", "remote"}
WORK = "work"
# A folder with this file is a cache by a convention that tar and others know: https://bford.info/cachedir/
CACHE_TAG = "CACHEDIR.TAG"
PASSES = 4


@dataclass
class Copier:
    """Copies a state folder into an archive.

    A job's folder moves when the job ends or is tried again, and its checkpoints come and go; so each is copied as one unit,
    again from the start where it changed under our hands, for jobs up to `newest_job`: those that the database's dump knows.
    """

    home: Path
    to: Writer
    with_keys: bool
    newest_job: int
    # Where each job's folder was when it was copied whole.
    whole: dict[int, Path] = field(default_factory=dict)
    _torn: bool = False

    def everything(self) -> None:
        """All files once: jobs' folders and uploads first, for they are the ones that go away."""
        names = sorted(path.name for path in self.home.iterdir() if self._is_kept(path))
        for name in sorted(names, key=lambda name: (name != WORK, name != "uploads")):
            self._add(self.home / name)

    def again(self, wanted: set[int]) -> set[int]:
        """Look for the folders of jobs that were torn or not found, wherever they are now; returns those still missing."""
        for folder in self._job_folders():
            if _job_of(folder) in wanted - self.whole.keys():
                self._add_job(folder)
        return wanted - self.whole.keys()

    def _is_kept(self, path: Path) -> bool:
        name = path.name
        if name in NOT_KEPT or name.startswith((REPLACED, RESTORING)) or (path / CACHE_TAG).exists():
            return False
        return self.with_keys or name not in KEYS

    def _job_folders(self) -> Iterator[Path]:
        for top in sorted(self.home.iterdir()):
            if self._is_kept(top) and top.is_dir():
                yield from (Path(folder) for folder, _, files in os.walk(top) if CHILD in files)

    def _add(self, path: Path) -> None:
        if path.is_symlink():
            if (target := _target_inside(path, self.home)) is not None:
                self.to.add_link(self._name(path), target)
                return
            if self.home.resolve().is_relative_to(path.resolve()):
                return  # it would lead back here
        if path.is_dir():
            if (path / CACHE_TAG).exists():
                return
            if _job_of(path) is None:
                self._add_folder(path)
            else:
                self._add_job(path)
        else:
            self._add_file(path)

    def _add_folder(self, path: Path) -> None:
        # The list first: a checkpoint's last file, if it is in the list, says that the others are complete by now. Folders
        # before files, so that a log or metrics never end before the checkpoint that lies beside them.
        try:
            listed = sorted(path.iterdir(), key=lambda each: (not each.is_dir(), each.name))
        except OSError:
            self._torn = True
            return
        for each in listed:
            self._add(each)

    def _add_job(self, folder: Path) -> None:
        job = _job_of(folder)
        if job is None or job > self.newest_job:
            return
        if job in self.whole and not self.whole[job].exists():
            return  # this is the one that we have, which moved
        self._torn, before = False, set(self.to.entries)
        self._add_folder(folder)
        if self._torn or not folder.is_dir():
            for name in set(self.to.entries) - before:
                del self.to.entries[name]
        else:
            self.whole[job] = folder

    def _add_file(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return
                whole = self.to.add(self._name(path), file, size=found.st_size, mode=found.st_mode, mtime=found.st_mtime)
        except FileNotFoundError:
            whole = False
        self._torn |= not whole

    def _name(self, path: Path) -> str:
        return FILES + path.relative_to(self.home).as_posix()


def _job_of(folder: Path) -> int | None:
    """The job that works, or worked, in this folder, by the note that its worker left; None where it is no job's."""
    job = read_json(folder / CHILD).get("job")
    return job if isinstance(job, int) else None


def _target_inside(link: Path, home: Path) -> str | None:
    """A link's target, relative, if it lies in the state folder; else None: what it leads to is copied in its place."""
    target = link.resolve()
    if not target.is_relative_to(home.resolve()):
        return None
    return os.path.relpath(target, link.parent.resolve())
