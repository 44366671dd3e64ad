"""What opens the site's database, its broker, its sessions and its storage: nothing for a process that runs a model.

Standard library only: the parts that import no Django start processes too.
"""

from __future__ import annotations

import os
import re

SITE_SECRETS = {
    "DATABASE_URL", "BROKER_URL", "RLWHF_SECRET_KEY", "RLWHF_STORAGE_URL",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
}  # fmt: skip


def environment_without_secrets() -> dict[str, str]:
    """This process's environment for a child that has no business with the site itself."""
    return {name: value for name, value in os.environ.items() if name not in SITE_SECRETS}


_KEY = re.compile(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)", re.IGNORECASE)


def environment_without_keys() -> dict[str, str]:
    """The same for other people's programs, pip when it builds their packages, say: no key or token of anybody's, by its name.

    What is meant for pip, it keeps: its index may ask for a password.
    """
    without = environment_without_secrets()
    return {name: value for name, value in without.items() if name.startswith("PIP_") or not _KEY.search(name)}
