"""A search service in SearXNG's form on this machine, which finds what a test has it find, and can be out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class SearchServer:
    """`find` maps a query to results; `refuse` may say (status, body) in its stead."""

    def __init__(self, find: Callable[[str], list[dict[str, Any]]]) -> None:
        self.find = find
        self.refuse: Callable[[str], tuple[int, bytes] | None] = lambda query: None
        self.queries: list[str] = []

    def answer(self, query: str) -> tuple[int, bytes]:
        self.queries.append(query)
        refused = self.refuse(query)
        if refused is not None:
            return refused
        told = {"query": query, "number_of_results": 0, "results": self.find(query), "unresponsive_engines": []}
        return 200, json.dumps(told).encode()


@contextmanager
def searching(server: SearchServer) -> Iterator[str]:
    """The address under which the service is reached while it runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            is_right = parts.path == "/search" and asked.get("format") == "json"
            status, body = server.answer(asked.get("q", "")) if is_right else (404, b"")
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
