"""The one-time link by which whoever started the site becomes its first admin.

Only the token's digest is kept, in a file of the state folder that its owner alone may read; the token itself is printed.
"""

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.utils.crypto import constant_time_compare

from accounts.services import digest, first_admin_exists


def _file() -> Path:
    return Path(settings.RLWHF_HOME) / "run" / "setup_token"


def setup_link_token() -> str | None:
    """A new token for `/account/setup/<token>/`, which makes earlier ones void; None where there is an admin already."""
    if first_admin_exists():
        return None
    token = secrets.token_urlsafe(24)
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(digest(token))
    aside.replace(path)
    return token


def setup_token_valid(token: str) -> bool:
    """Whether this token opens the set-up page now: the last one printed, while there is no admin."""
    try:
        known = _file().read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return False
    return constant_time_compare(known, digest(token)) and not first_admin_exists()


def setup_link_spend() -> None:
    """Once the admin exists the link opens nothing; drop its trace."""
    _file().unlink(missing_ok=True)
