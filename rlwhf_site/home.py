"""Where this installation keeps its state: one folder, `RLWHF_HOME`. Imports nothing but the standard library."""

import contextlib
import json
import os
import secrets
import sys
from pathlib import Path


def home_folder() -> Path:
    """The state folder: `$RLWHF_HOME`, else `/var/lib/rlwhf` for root and `~/.rlwhf` for everybody else.

    Root gets a folder outside its home directory because PostgreSQL refuses to run as root, and the unprivileged
    user it runs as could not reach a folder below `/root`.
    """
    configured = os.environ.get("RLWHF_HOME")
    if configured:
        return Path(configured).expanduser().resolve()
    if sys.platform != "win32" and os.geteuid() == 0:
        return Path("/var/lib/rlwhf")
    return Path.home() / ".rlwhf"


def read_or_create_secret(path: Path) -> str:
    """The secret kept in `path`; made on first use, readable by its owner alone. Safe when two processes start at once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        write_private(aside, secrets.token_urlsafe(50))
        try:
            os.link(aside, path)  # fails where another process was first: theirs is the secret
        except FileExistsError:
            pass
        except OSError:  # a file system without links; two first starts at once are not worth more
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def published_database_url(home: Path) -> str | None:
    """The database of the site that runs on this state folder, as `rlwhf up` published it; None while none runs."""
    with contextlib.suppress(OSError):
        return (home / "run" / "database_url").read_text(encoding="utf-8").strip() or None
    return None


def running_site(home: Path) -> dict[str, object] | None:
    """What `rlwhf up` tells of itself: `pid`, `address` and `version`; None while no site runs on this state folder."""
    with contextlib.suppress(OSError, ValueError):
        told = json.loads((home / "run" / "supervisor.json").read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else None
    return None


def site_address(home: Path) -> str:
    """Where people open the site that runs on this state folder; empty while none runs."""
    return str((running_site(home) or {}).get("address", ""))
