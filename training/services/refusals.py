"""Why a run cannot work, and what may be named."""

import re

from accounts.models import Endpoint
from training.models import Artifact

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
# Addresses of pages, and of the API's operations, beside the runs'.
RESERVED = frozenset({"new", "alignment", "rewards", "profiles", "backends", "check", "rows", "bundle", "estimate"})


class RunRefused(ValueError):  # noqa: N818 - a refusal is no accident
    """A run that cannot work, refused before it is queued. `field` names what to change; the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def name_check(name: str) -> None:
    if not NAME.fullmatch(name):
        rule = "a letter or digit, then at most 99 more and dashes"
        raise RunRefused("name", f"The name may hold small letters, digits and dashes: {rule}.")
    if name in RESERVED:
        raise RunRefused("name", f"“{name}” is the address of a page; choose another name.")
    if Artifact.objects.filter(name=name).exists() or Endpoint.objects.filter(name=name).exists():
        raise name_taken(name)


def name_taken(name: str) -> RunRefused:
    return RunRefused("name", f"There is a model named “{name}” already; choose another name.")
