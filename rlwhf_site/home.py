"""Where this installation keeps its state: one folder, `RLWHF_HOME`. Imports nothing but the standard library."""

import os
import secrets
from pathlib import Path


def home_folder() -> Path:
    """The state folder: `$RLWHF_HOME`, else `/var/lib/rlwhf` for root and `~/.rlwhf` for everybody else.

    Root gets a folder outside its home directory because PostgreSQL refuses to run as root, and the unprivileged
    user it runs as could not reach a folder below `/root`.
    """
    configured = os.environ.get("RLWHF_HOME")
    if configured:
        return Path(configured).expanduser().resolve()
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/rlwhf")
    return Path.home() / ".rlwhf"


def read_or_create_secret(path: Path) -> str:
    """The secret kept in `path`; made on first use, readable by its owner alone. Safe when two processes start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(aside, path)  # fails where another process was first: theirs is the secret
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_text(encoding="ascii").strip()
