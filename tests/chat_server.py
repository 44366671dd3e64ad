"""A service that speaks OpenAI's chat protocol on this machine, and says what a test has it say."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Refusal = tuple[int, str, dict[str, str]]


class ChatServer:
    """`say` maps a conversation to a reply, or to a choice's fields; `refuse` may map a request to a refusal (status, message,
    headers) first. A message that starts with “<” is sent as it is, as a page. `cards` is what is told of models, by name.

    Each word of a reply has the probability `word_probability`; None: the service tells no probabilities. Where a request asks
    for a stream, the words come one by one, unless `streams` is False; after `breaks_after` words it breaks off.
    """

    def __init__(
        self,
        say: Callable[[list[dict[str, str]]], str | dict[str, Any]],
        *,
        refuse: Callable[[dict[str, Any]], Refusal | None] = lambda request: None,
        word_probability: float | None = 0.5,
        streams: bool = True,
        breaks_after: int | None = None,
        word_s: float = 0.0,
    ) -> None:
        self.say, self.refuse, self.word_probability = say, refuse, word_probability
        self.streams, self.breaks_after, self.word_s = streams, breaks_after, word_s
        self.hung_up = threading.Event()
        self.cards: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.at_once, self.most_at_once = 0, 0
        self.lock = threading.Lock()

    def answer(self, request: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        with self.lock:
            self.times.append(time.monotonic())
            self.headers.append(headers)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            refusal = self.refuse(request)
            if refusal is not None:
                status, message, more = refusal
                return status, message.encode() if message.startswith("<") else {"error": {"message": message}}, more
            with self.lock:
                self.requests.append(request)
            return 200, self.completion(request), {}
        finally:
            with self.lock:
                self.at_once -= 1

    def completion(self, request: dict[str, Any]) -> dict[str, Any]:
        said = self.say(request["messages"])
        text, fields = (said, {}) if isinstance(said, str) else ("", said)
        words = text.split()
        logprobs = None
        if request.get("logprobs") and self.word_probability is not None:
            one = math.log(self.word_probability)
            logprobs = {"content": [{"token": word, "logprob": one, "top_logprobs": []} for word in words]}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, "logprobs": logprobs}
        choice |= fields
        asked = sum(len(message["content"].split()) for message in request["messages"])
        usage = {"prompt_tokens": asked, "completion_tokens": len(words), "total_tokens": asked + len(words)}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
            "usage": usage,
        }


@contextmanager
def serving(server: ChatServer) -> Iterator[str]:
    """The address under which the service is reached while it runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body, more = server.answer(request, {name.lower(): value for name, value in self.headers.items()})
            if status == 200 and request.get("stream") and server.streams and isinstance(body, dict):
                self.stream(request, body)
            else:
                self.tell(status, body, more)

        def stream(self, request: dict[str, Any], body: dict[str, Any]) -> None:
            """The same answer, a word at a time; the connection ends it."""
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
            choice = body["choices"][0]
            words = choice["message"]["content"].split()
            deltas = [{"role": "assistant", "content": ""}, *({"content": f"{word} "} for word in words)]
            chunks = [{"choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas]
            chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}]
            if request.get("stream_options", {}).get("include_usage"):
                chunks += [{"choices": [], "usage": body["usage"]}]
            try:
                for number, chunk in enumerate(chunks):
                    if number - 1 == server.breaks_after:
                        self.wfile.write(b'data: {"error": {"message": "the card is gone", "type": "server_error"}}\n\n')
                        return
                    self.wfile.write(f"data: {json.dumps(head | chunk)}\n\n".encode())
                    time.sleep(server.word_s)
                self.wfile.write(b"data: [DONE]\n\n")
            except OSError:
                server.hung_up.set()

        def do_GET(self) -> None:
            card = server.cards.get(self.path.rpartition("/models/")[2])
            self.tell(*((200, card, {}) if card else (404, {"error": {"message": "no such model"}}, {})))

        def tell(self, status: int, body: Any, more: dict[str, str]) -> None:
            content, kind = (body, "text/html") if isinstance(body, bytes) else (json.dumps(body).encode(), "application/json")
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
