"""OpenAI's protocol over HTTP: `/v1/models`, `/v1/chat/completions` and `/v1/completions`, streamed or not."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import orjson
from jinja2 import TemplateError
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from evaluation.serving.engine import Answered, Engine, Token, TooLong, Wish
from evaluation.serving.protocol import ChatAsked, CompletionAsked

USUAL_TOKENS = {"chat": 1024, "completion": 16}
"""How long an answer may be where a request does not say; that of completions is OpenAI's."""
MOST_BYTES = 8_000_000
MOST_ANSWERS = 4096
MOST_WAITING = 2 * MOST_ANSWERS
"""So many answers may wait for their turn; whoever comes then is told to come again."""
GONE = 499
"""The status of a request whose caller did not wait; nobody reads it."""


class Refused(Exception):  # noqa: N818 (reads as what happened)
    """A request that cannot be answered; said in OpenAI's form."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def make_app(engines: Mapping[str, Engine], *, key: str = "", hosts: Sequence[str] = ("*",)) -> Starlette:
    """The service of these models, by name. With a key, nothing is answered without it.

    `hosts` are the names by which it may be called. A browser's page of somebody else's must not reach what listens on this
    machine alone, neither by a name that leads here nor by the address: programs name no origin, pages cannot help it.
    """
    service = _Service(engines, key)
    routes = [
        Route("/health", _health),
        Route("/v1/models", service.models),
        Route("/v1/models/{name:path}", service.model),
        Route("/v1/chat/completions", service.chat, methods=["POST"]),
        Route("/v1/completions", service.completions, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={Refused: _refusal},
    )


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refusal(_request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    kind = "invalid_request_error" if refused.status < 500 else "server_error"
    error = {"message": str(refused), "type": kind, "param": None, "code": refused.code}
    return JSONResponse({"error": error}, status_code=refused.status)


class _Service:
    def __init__(self, engines: Mapping[str, Engine], key: str) -> None:
        self._engines, self._key, self._since = engines, key, int(time.time())

    async def models(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse({"object": "list", "data": [self._described(name) for name in self._engines]})

    async def model(self, request: Request) -> Response:
        self._check_key(request)
        return JSONResponse(self._described(self._engine(request.path_params["name"]).name))

    async def chat(self, request: Request) -> Response:
        asked = _parsed(ChatAsked, await self._body(request))
        engine = self._engine(asked.model)
        try:
            ids = engine.chat_ids(asked.messages)
        except TemplateError as error:  # a model's own: no system role, roles in turn, ...
            raise Refused(400, f"The model's chat template refuses this conversation: {error}") from error
        most = _room(engine, ids, asked.most_tokens, usual=USUAL_TOKENS["chat"])
        wishes = [_wish(asked, ids, most, number) for number in range(asked.n)]
        return await _respond(_Chat(engine, asked), wishes, request)

    async def completions(self, request: Request) -> Response:
        asked = _parsed(CompletionAsked, await self._body(request))
        engine = self._engine(asked.model)
        wishes = []
        for prompt in asked.prompts:
            ids = engine.text_ids(prompt) if isinstance(prompt, str) else prompt
            most = _room(engine, ids, asked.max_tokens, usual=USUAL_TOKENS["completion"])
            wishes += [_wish(asked, ids, most, number) for number in range(asked.n)]
        for wish in wishes:
            wish.read_prompt = asked.echo and asked.logprobs is not None
        return await _respond(_Completion(engine, asked), wishes, request)

    async def _body(self, request: Request) -> bytes:
        self._check_key(request)
        _check_sender(request)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise Refused(413, f"A request may have {MOST_BYTES} bytes.")
        return body

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if self._key and not hmac.compare_digest(given, self._key.encode()):
            raise Refused(401, "The key is missing, or another.", "invalid_api_key")

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            raise Refused(404, f"There is no model “{name}” here; there is {', '.join(self._engines)}.", "model_not_found")
        return self._engines[name]

    def _described(self, name: str) -> dict[str, Any]:
        engine = self._engines[name]
        more = {"max_model_len": engine.longest} | ({"digest": engine.digest} if engine.digest else {})
        return {"id": name, "object": "model", "created": self._since, "owned_by": "rlwhf", **more}


A = TypeVar("A", ChatAsked, CompletionAsked)


def _parsed(kind: type[A], body: bytes) -> A:
    try:
        asked = kind.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"Not JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise Refused(400, f"{where}: {message}" if where else message) from error
    answers = asked.n * (len(asked.prompts) if isinstance(asked, CompletionAsked) else 1)
    if not 0 < answers <= MOST_ANSWERS:
        raise Refused(400, f"A request may ask for 1 to {MOST_ANSWERS} answers.")
    return asked


def _room(engine: Engine, ids: list[int], wanted: int | None, *, usual: int) -> int:
    try:
        return engine.room(ids, wanted, usual=usual)
    except TooLong as error:
        raise Refused(400, str(error), "context_length_exceeded") from error


def _wish(asked: ChatAsked | CompletionAsked, ids: list[int], most: int, number: int) -> Wish:
    return Wish(ids, most, asked.temperature, asked.seed, number, asked.stop, asked.top)


def _check_sender(request: Request) -> None:
    """Only programs ask. A page in a browser says where it is from, and can send JSON to no foreign place unasked."""
    if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused(403, "Pages in a browser are not answered.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, f"Send application/json, not {kind or 'nothing said'}.")


async def _respond(form: _Chat | _Completion, wishes: list[Wish], request: Request) -> Response:
    if form.engine.waiting + len(wishes) > MOST_WAITING:
        raise Refused(429, f"{form.engine.waiting} answers wait already: come again later.", "rate_limit_exceeded")
    if form.asked.stream:
        return StreamingResponse(_events(form, wishes), media_type="text/event-stream")
    answers = await _answers(form, wishes, request)
    if answers is None:
        return Response(status_code=GONE)
    whole = [_answer(one) for one in answers]
    choices = [form.choice(index, wish, one) for index, (wish, one) in enumerate(zip(wishes, whole, strict=True))]
    body = form.head() | {"object": form.kind, "choices": choices, "usage": _usage(form, wishes, whole)}
    return Response(orjson.dumps(body), media_type="application/json")


async def _answers(form: _Chat | _Completion, wishes: list[Wish], request: Request) -> list[Answered | Exception] | None:
    """All of them; None where the caller has gone, whose answers nobody needs to make then."""
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[Answered | Exception]] = [loop.create_future() for _ in wishes]
    for wish, future in zip(wishes, waiting, strict=True):
        wish.ended = _teller(loop, future)
        form.engine.submit(wish)
    everything, gone = asyncio.gather(*waiting), asyncio.create_task(_gone(request))
    either: set[asyncio.Future[Any]] = {everything, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return everything.result() if everything.done() else None
    finally:
        gone.cancel()
        everything.cancel()
        for wish in wishes:
            wish.cancelled = True


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _teller(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Answered | Exception]
) -> Callable[[Answered | Exception], None]:
    def settle(answer: Answered | Exception) -> None:
        if not future.done():  # cancelled where the caller has gone
            future.set_result(answer)

    return lambda answer: _post(loop, settle, answer)


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: object) -> None:
    """Call from the engine's thread; into nothing where the server has ended, and its loop with it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


def _answer(answer: Answered | Exception) -> Answered:
    if isinstance(answer, Exception):
        raise Refused(500, f"The model could not answer: {answer}") from answer
    return answer


async def _events(form: _Chat | _Completion, wishes: list[Wish]) -> AsyncIterator[bytes]:
    """Server-sent events: a piece each, then `[DONE]`. Whoever goes away ends the answers."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[tuple[int, str, list[Token]] | tuple[int, Answered | Exception]] = asyncio.Queue()
    for index, wish in enumerate(wishes):

        def heard(text: str, tokens: list[Token], index: int = index) -> None:
            _post(loop, told.put_nowait, (index, text, tokens))

        def ended(answer: Answered | Exception, index: int = index) -> None:
            _post(loop, told.put_nowait, (index, answer))

        wish.heard, wish.ended = heard, ended
        form.engine.submit(wish)
    whole: dict[int, Answered] = {}
    try:
        for first in form.opening(len(wishes)):
            yield _event(first)
        while len(whole) < len(wishes):
            index, *news = await told.get()
            match news:
                case [str() as text, list() as tokens]:
                    yield _event(form.piece(index, text, tokens))
                case [Answered() as answer]:
                    whole[index] = answer
                    yield _event(form.closing(index, answer))
                case [error]:
                    yield _event({"error": {"message": f"The model could not answer: {error}", "type": "server_error"}})
                    return
        if form.asked.stream_options is not None and form.asked.stream_options.include_usage:
            usage = _usage(form, wishes, [whole[index] for index in range(len(wishes))])
            yield _event(form.head() | {"object": form.streamed, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"
    finally:
        for wish in wishes:
            wish.cancelled = True


def _event(value: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _usage(form: _Chat | _Completion, wishes: Sequence[Wish], answers: Sequence[Answered]) -> dict[str, int]:
    asked = sum(len(wish.ids) for wish in wishes[:: form.asked.n])  # all choices of a prompt share it
    said = sum(len(answer.tokens) for answer in answers)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


class _Chat:
    """How a chat completion is put."""

    kind, streamed = "chat.completion", "chat.completion.chunk"

    def __init__(self, engine: Engine, asked: ChatAsked) -> None:
        self.engine, self.asked = engine, asked
        self._id, self._created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    def head(self) -> dict[str, Any]:
        return {"id": self._id, "created": self._created, "model": self.engine.name}

    def choice(self, index: int, wish: Wish, answer: Answered) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text}
        return {"index": index, "message": message, "finish_reason": answer.finish, "logprobs": self._logprobs(answer.tokens)}

    def opening(self, count: int) -> list[dict[str, Any]]:
        return [self._chunk(index, {"role": "assistant", "content": ""}) for index in range(count)]

    def piece(self, index: int, text: str, tokens: list[Token]) -> dict[str, Any]:
        return self._chunk(index, {"content": text}, logprobs=self._logprobs(tokens))

    def closing(self, index: int, answer: Answered) -> dict[str, Any]:
        return self._chunk(index, {}, finish_reason=answer.finish)

    def _chunk(self, index: int, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": None, "logprobs": None} | more
        return self.head() | {"object": self.streamed, "choices": [choice]}

    def _logprobs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self.asked.logprobs:
            return None
        content = [self._spelt(one.id, one.logprob) | {"top_logprobs": [self._spelt(*top) for top in one.top]} for one in tokens]
        return {"content": content, "refusal": None}

    def _spelt(self, token: int, logprob: float | None) -> dict[str, Any]:
        text = self.engine.spelling(token)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


class _Completion:
    """How a text completion is put."""

    kind = streamed = "text_completion"

    def __init__(self, engine: Engine, asked: CompletionAsked) -> None:
        self.engine, self.asked = engine, asked
        self._id, self._created = f"cmpl-{uuid.uuid4().hex}", int(time.time())

    def head(self) -> dict[str, Any]:
        return {"id": self._id, "created": self._created, "model": self.engine.name}

    def choice(self, index: int, wish: Wish, answer: Answered) -> dict[str, Any]:
        text = self.engine.decode(wish.ids) + answer.text if self.asked.echo else answer.text
        logprobs = self._logprobs([*answer.prompt, *answer.tokens])
        return {"index": index, "text": text, "finish_reason": answer.finish, "logprobs": logprobs}

    def opening(self, count: int) -> list[dict[str, Any]]:
        return []

    def piece(self, index: int, text: str, tokens: list[Token]) -> dict[str, Any]:
        return self._chunk(index, text, self._logprobs(tokens), None)

    def closing(self, index: int, answer: Answered) -> dict[str, Any]:
        return self._chunk(index, "", None, answer.finish)

    def _chunk(self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
        return self.head() | {"object": self.kind, "choices": [choice]}

    def _logprobs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if self.asked.logprobs is None:
            return None
        spelt = [self.engine.spelling(one.id) for one in tokens]
        tops = [{self.engine.spelling(token): value for token, value in one.top} if one.top else None for one in tokens]
        offsets = [sum(map(len, spelt[:at])) for at in range(len(spelt))] if len(spelt) < 4096 else []
        return {
            "tokens": spelt, "token_logprobs": [one.logprob for one in tokens], "top_logprobs": tops, "text_offset": offsets
        }  # fmt: skip
