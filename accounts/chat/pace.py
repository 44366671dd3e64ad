"""So many requests a minute, and no more."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Hands out turns, evenly spaced: a service that allows sixty a minute may still mind sixty at once.

    It holds from one event loop to the next. Without a rate every turn is now, but for what `hold` says.
    """

    def __init__(self, requests_per_minute: int | None) -> None:
        self._between = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is one's turn."""
        # From when the last one really went, not from when it was to go: a late one does not crowd the next.
        while (wait := self._next - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        self._next = time.monotonic() + self._between

    def hold(self, seconds: float) -> None:
        """Nobody's turn comes before that: the service has asked for it."""
        self._next = max(self._next, time.monotonic() + seconds)
