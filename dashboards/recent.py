"""Figures that everybody may share for a moment, so that many people on the home page cost no more than one."""

import time
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.utils import timezone

P = ParamSpec("P")
T = TypeVar("T")
KEYS_KEPT = 32


def lately() -> datetime:
    """Whatever ended since then may be missing in what is shared, so a page that is followed looks once more."""
    return timezone.now() - 2 * timedelta(seconds=settings.DASHBOARD_SECONDS)


def shared(read: Callable[P, T]) -> Callable[P, T]:
    """Keep what `read` returned for `DASHBOARD_SECONDS`, per process and arguments. While one caller reads, the others wait."""
    known: dict[Hashable, tuple[float, T]] = {}
    lock = Lock()

    @wraps(read)
    def recent(*args: P.args, **kwargs: P.kwargs) -> T:
        if not settings.DASHBOARD_SECONDS:
            return read(*args, **kwargs)
        key = (args, tuple(sorted(kwargs.items())))
        with lock:
            found = known.get(key)
            if found is None or time.monotonic() - found[0] > settings.DASHBOARD_SECONDS:
                if len(known) > KEYS_KEPT:
                    known.clear()
                found = known[key] = (time.monotonic(), read(*args, **kwargs))
            return found[1]

    return recent
