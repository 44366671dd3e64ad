"""Files of the state folder that hold a key: made when first needed, readable by their owner alone. Knows no Django."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def key_file(path: Path, make: Callable[[], str]) -> str:
    """What the file holds; where there is none it is written with what `make` returns.

    Safe when two threads or processes need it first at the same time, and when the machine stops meanwhile.
    """
    if not path.exists():
        _written(path, make())
    return path.read_text(encoding="ascii")


def _written(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)  # fails where another was first: theirs is the key
    except FileExistsError:
        pass
    finally:
        Path(aside).unlink(missing_ok=True)
