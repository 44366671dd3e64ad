"""Listening for requests: where, and in a thread beside other work. Loads no model and none of the libraries for it."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

LOCAL: Final = "127.0.0.1"
LOCAL_NAMES: Final = ("localhost", LOCAL, "[::1]", "::1")
START_S: Final = 30.0
ENDING_S: Final = 1
"""How long requests may take to notice that nobody needs their answers any more."""


def is_local(host: str) -> bool:
    """Whether only this machine can reach a service that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0: any that is free. Raises OSError."""
    (family, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(256)
    except OSError:
        bound.close()
        raise
    return bound


def address_of(host: str, bound: socket.socket) -> str:
    """The base address that clients are given."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}/v1"


def server_of(app: ASGIApp, *, ending_s: int, log_level: str = "warning", lifespan: Any = "off") -> uvicorn.Server:
    """A server that is not started yet. Asked to end, it gives what is being answered so many seconds."""
    return uvicorn.Server(
        uvicorn.Config(
            app, log_level=log_level, access_log=False, server_header=False, lifespan=lifespan,
            timeout_graceful_shutdown=ending_s, timeout_keep_alive=60,
        )
    )  # fmt: skip


@contextmanager
def listening(app: Starlette) -> Iterator[str]:
    """The address under which this machine reaches the app, meanwhile. At the end nothing more is answered."""
    bound = listen(LOCAL, 0)
    server = server_of(app, ending_s=ENDING_S, lifespan="on")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="listening", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield address_of(LOCAL, bound)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise RuntimeError("The service did not start; the log says why.")
        time.sleep(0.01)
