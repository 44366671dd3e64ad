"""A service as a harness may call it: an address of this machine alone that passes questions on by our own client.

So a harness keeps to the endpoint's pace, reaches the network addresses that were looked up and no others, has its use counted,
and never sees the endpoint's key.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import openai
import orjson
from openai.types.chat import ChatCompletion
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from accounts.chat.client import TRIES, ChatClient, ServiceFailed
from accounts.chat.refusals import OPTIONS, is_filtered, unknown_option, words_of
from accounts.chat.service import ChatService
from evaluation.serving.listening import LOCAL_NAMES, listening

OURS: Final = ("model", "stream", "stream_options", "n")
"""What of a question is not passed on: the model is the endpoint's. Any other option the service takes or refuses, not we."""


@contextmanager
def forwarding(client: ChatClient, *, key: str) -> Iterator[str]:
    """The address, meanwhile; requests must carry `key`."""
    with listening(forwarder(client, key=key)) as address:
        yield address


def patience_s(service: ChatService) -> float:
    """How long a harness has to wait for an answer at most: for its turn among those that ask at once, and for all the tries."""
    turn = service.at_once * 60 / service.requests_per_minute if service.requests_per_minute else 0.0
    return TRIES * (service.timeout_s + turn) + 60


def forwarder(client: ChatClient, *, key: str) -> Starlette:
    """The app. It has chat completions and no more."""

    @asynccontextmanager
    async def opened(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(
        routes=[Route("/v1/chat/completions", _Forwarder(client, key).chat, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_NAMES))],
        lifespan=opened,
    )


class _Forwarder:
    def __init__(self, client: ChatClient, key: str) -> None:
        self._client, self._key = client, key
        self._unknown: set[str] = set()
        self._at_once = asyncio.Semaphore(client.service.at_once)

    async def chat(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, self._key.encode()):
            return _refusal(401, "The key is missing, or another.")
        asked = orjson.loads(await request.body())
        if asked.get("stream") or asked.get("n", 1) != 1:
            return _refusal(400, "One answer at a time is passed on, and in one piece.")
        options = {name: value for name, value in asked.items() if name not in OURS and value is not None}
        try:
            async with self._at_once:
                completion = await self._answer(options)
        except openai.APIStatusError as error:
            # What the service's filter minds is answered as when we ask: with no words. Any other refusal fails the harness.
            return _filtered(self._client.service) if is_filtered(error) else _refusal(400, self._without_key(words_of(error)))
        except ServiceFailed as failed:  # it has been tried again and again: the harness need not
            return _refusal(400, str(failed))
        return Response(completion.model_dump_json(), media_type="application/json")

    def _without_key(self, text: str) -> str:
        """Services like to say it back, and what a harness hears stands in its log."""
        return text.replace(self._client.key, "…") if self._client.key else text

    async def _answer(self, options: dict[str, Any]) -> ChatCompletion:
        """Without what the service does not know, once it has said so: as our own questions are asked."""
        while True:
            sent = self._known(options)
            try:
                return await self._client.send(**sent)
            except openai.APIStatusError as error:
                unknown = unknown_option(error, [name for name in OPTIONS if name in sent])
                if unknown is None or (unknown == "temperature" and sent["temperature"]):
                    raise
                self._unknown.add(unknown)

    def _known(self, options: dict[str, Any]) -> dict[str, Any]:
        left_out = self._unknown | ({"top_logprobs"} if "logprobs" in self._unknown else set())
        sent = {name: value for name, value in options.items() if name not in left_out}
        if "max_tokens" in self._unknown and "max_tokens" in options:
            sent["max_completion_tokens"] = options["max_tokens"]
        return sent


def _refusal(status: int, message: str) -> Response:
    kind = "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status_code=status)


def _filtered(service: ChatService) -> Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter", "logprobs": None}
    body = {"id": "filtered", "object": "chat.completion", "created": 0, "model": service.model, "choices": [choice]}
    return JSONResponse(body | {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}})
