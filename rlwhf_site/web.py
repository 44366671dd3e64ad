"""The web server: granian with the site's ASGI application. `python -m rlwhf_site.web --port 8000`, or `rlwhf web`.

This process holds no Django, only its worker does: it costs little memory, and it can end the worker when it must.
"""

import argparse
import os
import socket

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from jobs.child import watch_parent

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000
# Open event streams never end by themselves: after this long they are cut at a stop.
KILL_TIMEOUT_S = 2


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # there the option means that two may listen at once
            # As the server itself does: a port whose last connections are still winding down is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def serve(*, host: str, port: int, workers: int = 1) -> None:
    """Serve until SIGTERM or Ctrl-C, or until the process that started this one dies."""
    server = Granian(
        "rlwhf_site.asgi:application",
        address=host,
        port=port,
        interface=Interfaces.ASGINL,  # Django speaks no lifespan
        workers=workers,
        workers_kill_timeout=KILL_TIMEOUT_S,
        http=HTTPModes.http1,
        websockets=False,
    )
    watch_parent(grace_s=2 * KILL_TIMEOUT_S)
    server.serve()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=DEFAULT_HOST, help=f"address to listen on (default {DEFAULT_HOST})")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to listen on (default {DEFAULT_PORT})")
    parser.add_argument("--web-workers", type=int, default=1, help="processes that answer requests (default 1)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="rlwhf web", description="Serve the site's pages and API.")
    add_arguments(parser)
    options = parser.parse_args()
    serve(host=options.host, port=options.port, workers=options.web_workers)


if __name__ == "__main__":
    main()
