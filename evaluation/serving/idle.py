"""When a service was last used, so that it can end once nobody needs it."""

from __future__ import annotations

import threading
import time

from starlette.types import ASGIApp, Receive, Scope, Send


class Used:
    """The app, and when it was last asked for an answer. Looking at what there is (GET) is no use."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()  # the server has one thread, and whoever looks another
        self._under_way = 0
        self._last = time.monotonic()
        self.answers = 0
        """Requests that were answered so far."""

    @property
    def idle_s(self) -> float:
        """For how long nothing has been asked for; 0 while something is being answered."""
        with self._lock:
            return 0.0 if self._under_way else time.monotonic() - self._last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        self._count(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._under_way += change
            self._last = time.monotonic()
            self.answers += change < 0
