"""The files of a job's folder, for people to look at and download."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

FILES_AT_MOST = 500


class NoSuchFile(LookupError):  # noqa: N818 - like Http404, an answer rather than an accident
    """There is no such file in the folder, or it lies outside of it."""


@dataclass(frozen=True)
class FileEntry:
    path: str
    size: int


def file_list(folder: str) -> list[FileEntry]:
    """The plain files of the folder and its subfolders, by path; hidden ones and links are left out."""
    root = Path(folder)
    if not folder or not root.is_dir():
        return []
    found = (path for path in sorted(root.rglob("*")) if _is_shown(path, root))
    return [FileEntry(str(path.relative_to(root)), path.stat().st_size) for path in islice(found, FILES_AT_MOST)]


def file_path(folder: str, name: str) -> Path:
    """The file `name` of the folder. Raises NoSuchFile for what is not a plain file inside of it."""
    if not folder or "\0" in name:
        raise NoSuchFile(name)
    root = Path(folder).resolve()
    path = root / name
    # `resolve` follows links and removes every "..": what then still lies inside, lies inside.
    resolved = path.resolve()
    if not resolved.is_relative_to(root) or not resolved.is_file() or not _is_shown(root / resolved.relative_to(root), root):
        raise NoSuchFile(name)
    return resolved


def _is_shown(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and not path.is_symlink() and path.is_file()
