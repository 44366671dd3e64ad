"""How requests of the client travel: each in its turn, and to the network addresses that were looked up and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from httpx2 import AsyncBaseTransport, AsyncHTTPTransport, ConnectError, ConnectTimeout, Limits, Request, Response

from accounts.chat.addresses import readdressed
from accounts.chat.pace import Pace


class Paced(AsyncBaseTransport):
    """Sends each request in its turn; whose request is on its way is among the `busy`."""

    def __init__(self, inner: AsyncBaseTransport, pace: Pace, busy: set[asyncio.Task[Any] | None]) -> None:
        self._inner, self._pace, self._busy = inner, pace, busy

    async def handle_async_request(self, request: Request) -> Response:
        await self._pace.turn()
        self._busy.add(asyncio.current_task())
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Pinned(AsyncBaseTransport):
    """Connects to the given addresses and to no others."""

    def __init__(self, addresses: Sequence[str], limits: Limits) -> None:
        self._addresses = list(addresses)
        self._inner = AsyncHTTPTransport(retries=0, limits=limits)

    async def handle_async_request(self, request: Request) -> Response:
        for number, one in enumerate(readdressed(request, self._addresses), 1):
            try:
                return await self._inner.handle_async_request(one)
            except (ConnectError, ConnectTimeout):
                if number == len(self._addresses):
                    raise
        raise ConnectError("the host has no address", request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()
