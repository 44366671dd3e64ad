"""A client for services that speak OpenAI's chat protocol. Knows no Django: child processes use it.

It asks many questions at once, keeps to a number of requests a minute (a second try is a request too), tries again what failed on
the way, takes a question that a service refuses for answered with a reason, and calls the network addresses that were looked up
beforehand and no others. One question: `await client.answer(question)` within `async with client`, or
`client.stream(question)` for its words as they come. Many: `client.ask(questions)`, or `await client.ask_all(questions)` where an
event loop runs already.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import openai
from httpx2 import AsyncBaseTransport, AsyncClient, AsyncHTTPTransport, HTTPError, Limits, Response
from openai import AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from accounts.chat.answers import ENDINGS, ChatAnswer, ChatQuestion, Ending
from accounts.chat.heard import Heard
from accounts.chat.pace import Pace
from accounts.chat.refusals import OPTIONS, is_filtered, is_of_the_request, unknown_option, words_of
from accounts.chat.service import KEY_VARIABLE, ChatService, Usage
from accounts.chat.transports import Paced, Pinned

__all__ = ["ChatAnswer", "ChatClient", "ChatQuestion", "Ending", "ServiceFailed"]

TRIES = 6
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
LONGEST_ASKED_S = 300.0
"""A service may ask for so long a pause before the next try; one that asks for more is not waited for."""
STOP_GRACE_S = 15.0
"""What is under way may take so long to finish once it is to stop."""
LOOK_EVERY_S = 0.1
CARD_TIMEOUT_S = 10.0
DOUBTFUL = 5
"""After so many refused questions in a row it is asked whether the service answers anything."""
CONTROL = ChatQuestion([{"role": "user", "content": "What is 1 + 1? Answer with the number."}], max_tokens=16)
_NO_KEY = "none"  # the client insists on one; a service without keys ignores it

Each = Callable[[int, ChatAnswer], None]
T = TypeVar("T")


class ServiceFailed(RuntimeError):  # noqa: N818 - reads as what happened
    """The service did not answer as it should; the message says what it said, and never holds the key."""


@dataclass(frozen=True)
class _Accepted(Generic[T]):
    """What came of a request, and the options that it was made with."""

    what: T
    by: dict[str, Any]


class _Unusable(Exception):  # noqa: N818
    """An answer that is none; another try may bring one."""


@dataclass
class ChatClient:
    """Asks one service. What a service does not know (log-probabilities, seeds) it is not asked for again."""

    service: ChatService
    key: str = field(default_factory=lambda: os.environ.get(KEY_VARIABLE, ""), repr=False)
    transport: AsyncBaseTransport | None = None
    usage: Usage = field(default_factory=Usage)
    pace: Pace | None = None
    """That of others who ask the same service; without one, it has its own."""
    tries: int = TRIES
    _unknown: set[str] = field(default_factory=set)
    _busy: set[asyncio.Task[Any] | None] = field(default_factory=set, repr=False)
    _open: openai.AsyncOpenAI | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._pace = self.pace or Pace(self.service.requests_per_minute)

    async def __aenter__(self) -> Self:
        self._open = self._opened()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await opened.close()

    # --- many questions

    def ask(self, questions: Sequence[ChatQuestion], *, each: Each, stop: Callable[[], bool] = lambda: False) -> bool:
        """Ask all, several at a time; `each` is told the index and the answer as they come. Returns False where `stop` said so:
        what is under way is then given some seconds. Raises ServiceFailed, and what `each` raises; what was told by then stays
        told.
        """
        return asyncio.run(self.ask_all(questions, each=each, stop=stop))

    async def ask_all(self, questions: Sequence[ChatQuestion], *, each: Each, stop: Callable[[], bool] = lambda: False) -> bool:
        """As `ask`, where an event loop runs already."""
        waiting = iter(enumerate(questions))
        async with self:
            believed = _Believed(each, self)

            async def worker() -> None:
                for index, question in waiting:
                    if stop():
                        return
                    await believed.tell(index, await self.answer(question))

            crew = [worker() for _ in range(min(self.service.at_once, len(questions)))]
            await self._finished(crew, stop)
            if not stop():
                await believed.end()
        return believed.told == len(questions)

    async def _finished(self, crew: Sequence[Any], stop: Callable[[], bool]) -> None:
        """Have all of them finish, or those that are waiting end where it is to stop. Raises what one of them raised first."""
        if not crew:
            return
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one) for one in crew]
                watch = group.create_task(self._watch(tasks, stop))
                await asyncio.wait(tasks)
                watch.cancel()
        except BaseExceptionGroup as failed:
            raise _first(failed) from None

    async def _watch(self, tasks: Collection[asyncio.Task[Any]], stop: Callable[[], bool]) -> None:
        """End who waits for a turn or for another try as soon as it is to stop, and all others after a while."""
        while not stop():
            await asyncio.sleep(LOOK_EVERY_S)
        for task in tasks:
            if task not in self._busy:
                task.cancel()
        await asyncio.sleep(STOP_GRACE_S)
        for task in tasks:
            task.cancel()

    # --- one question

    async def answer(self, question: ChatQuestion) -> ChatAnswer:
        """The answer to one question, within `async with`. Raises ServiceFailed where it is not the question that is at fault."""
        got = await self._accepted(question, lambda: self._options(question), lambda options: self.send(**options))
        if isinstance(got, ChatAnswer):
            return got
        return _read(got.what, drawn=question.temperature == 0 and "temperature" not in got.by)

    async def stream(self, question: ChatQuestion) -> AsyncGenerator[str | ChatAnswer]:
        """The answer's pieces as they come, and at the end the answer, within `async with`. What fails before the first piece is
        tried again; whoever listens no more closes the generator, and the service hears of it. A service that streams nothing is
        asked for the whole. Raises ServiceFailed.
        """
        got = await self._accepted(question, lambda: self._streamed_options(question), self._stream_opened)
        if isinstance(got, ChatAnswer):
            yield got
            return
        heard = Heard(drawn=question.temperature == 0 and "temperature" not in got.by)
        async with got.what as chunks:
            try:
                async for chunk in chunks:
                    if piece := heard.piece(chunk):
                        yield piece
            except (openai.OpenAIError, HTTPError, ValueError) as error:  # ValueError: half an event
                raise ServiceFailed(self._told(error)) from None
        if heard.is_nothing:
            yield await self.answer(question)
            return
        self.usage.count(requests=1, tokens_in=heard.tokens_in or 0, tokens_out=heard.tokens or 0)
        yield heard.answer()

    async def _accepted(
        self, question: ChatQuestion, options: Callable[[], dict[str, Any]], send: Callable[[dict[str, Any]], Awaitable[T]]
    ) -> _Accepted[T] | ChatAnswer:
        """What came of a request, without the options that the service refuses by name; or the answer that a refusal is."""
        while True:
            by = options()
            try:
                return _Accepted(await send({"messages": list(question.messages), **by}), by)
            except openai.APIStatusError as error:
                unknown = unknown_option(error, [name for name in OPTIONS if name in by])
                if unknown is not None and (unknown != "temperature" or question.temperature == 0):
                    self._unknown.add(unknown)
                elif is_of_the_request(error):
                    ending: Ending = "filtered" if is_filtered(error) else "rejected"
                    return ChatAnswer("", None, None, ending, self._told(error))
                else:
                    raise ServiceFailed(self._told(error)) from None

    async def send(self, **options: Any) -> ChatCompletion:
        """One request with these fields, in its turn; what fails on the way is tried again. Raises openai's APIStatusError where
        the service refuses it, and ServiceFailed where it cannot be had.
        """

        async def sent() -> ChatCompletion:
            return self._counted(await self._sent(options))

        return await self._tried(sent)

    async def _tried(self, once: Callable[[], Awaitable[T]]) -> T:
        told = ""
        for number in range(self.tries):
            if number:
                self.usage.count(retried=1)
            try:
                return await once()
            except openai.APIStatusError as error:
                if not _may_pass(error.status_code):
                    raise
                told, wait = self._told(error), _asked_wait(error.response)
            except (openai.OpenAIError, _Unusable, ValueError) as error:  # ValueError: half a page of JSON
                told, wait = self._told(error), None
            if wait is not None:
                if wait > LONGEST_ASKED_S:
                    raise ServiceFailed(f"{told} It asks to be left alone for {wait:.0f} seconds.")
                self._pace.hold(wait)
            elif number < self.tries - 1:
                await asyncio.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number) * random.uniform(0.75, 1.0))  # noqa: S311
        raise ServiceFailed(told)

    def told_of_model(self) -> dict[str, Any]:
        """As `model_card`, where no event loop runs."""

        async def told() -> dict[str, Any]:
            async with self:
                return await self.model_card()

        return asyncio.run(told())

    async def model_card(self) -> dict[str, Any]:
        """What the service tells of its model at `models/NAME`; nothing, where it tells nothing, or does not answer soon."""
        assert self._open is not None, "a client is open within `async with`"
        try:
            brief = self._open.with_options(timeout=min(CARD_TIMEOUT_S, self.service.timeout_s))
            card = await brief.get(f"/models/{self.service.model}", cast_to=object)
        except (openai.OpenAIError, ValueError):
            return {}
        finally:
            self._busy.discard(asyncio.current_task())
        return card if isinstance(card, dict) else {}

    async def _sent(self, options: dict[str, Any]) -> Any:
        assert self._open is not None, "a client is open within `async with`"
        body = {"model": self.service.model, **options}
        try:
            return await self._open.post("/chat/completions", body=body, cast_to=ChatCompletion)
        finally:
            self._busy.discard(asyncio.current_task())

    async def _stream_opened(self, options: dict[str, Any]) -> AsyncStream[ChatCompletionChunk]:
        async def opened() -> AsyncStream[ChatCompletionChunk]:
            assert self._open is not None, "a client is open within `async with`"
            body = {"model": self.service.model, "stream": True, **options}
            try:
                return await self._open.post(
                    "/chat/completions",
                    body=body,
                    cast_to=ChatCompletion,
                    stream=True,
                    stream_cls=AsyncStream[ChatCompletionChunk],
                )
            finally:
                self._busy.discard(asyncio.current_task())

        return await self._tried(opened)

    def _counted(self, completion: Any) -> ChatCompletion:
        """The completion, when it is one."""
        if not isinstance(completion, ChatCompletion):
            raise ServiceFailed(
                f"{self.service.base_url} answered with a page, and not with an answer: does the address end in /v1?"
            )
        told = completion.usage
        self.usage.count(
            requests=1,
            tokens_in=(told.prompt_tokens or 0) if told else 0,
            tokens_out=(told.completion_tokens or 0) if told else 0,
        )
        if not completion.choices:  # some say so what went wrong behind them
            raise _Unusable(f"no choice at all. {getattr(completion, 'error', None) or ''}")
        return completion

    def _options(self, question: ChatQuestion) -> dict[str, Any]:
        """What is asked beside the messages, without what the service has refused; only samples need their temperature."""
        length = "max_completion_tokens" if "max_tokens" in self._unknown else "max_tokens"
        options: dict[str, Any] = {"temperature": question.temperature, "logprobs": True}
        if question.max_tokens is not None:
            options[length] = question.max_tokens
        if question.seed is not None and question.temperature > 0:
            options["seed"] = question.seed
        left_out = self._unknown - ({"temperature"} if question.temperature > 0 else set())
        return {name: value for name, value in options.items() if name not in left_out}

    def _streamed_options(self, question: ChatQuestion) -> dict[str, Any]:
        counted = {} if "stream_options" in self._unknown else {"stream_options": {"include_usage": True}}
        return {name: value for name, value in self._options(question).items() if name != "logprobs"} | counted

    def _opened(self) -> openai.AsyncOpenAI:
        service = self.service
        limits = Limits(max_connections=service.at_once, max_keepalive_connections=service.at_once)
        transport = self.transport or (
            Pinned(service.addresses, limits) if service.addresses else AsyncHTTPTransport(limits=limits)
        )
        return openai.AsyncOpenAI(
            base_url=service.base_url,
            api_key=self.key or _NO_KEY,
            timeout=service.timeout_s,
            max_retries=0,  # it would try again without waiting for its turn
            http_client=AsyncClient(
                transport=Paced(transport, self._pace, self._busy),
                follow_redirects=False,
                trust_env=False,
                timeout=service.timeout_s,
            ),
        )

    def _told(self, error: Exception) -> str:
        """What went wrong, in words; services like to say the key back."""
        status = f" ({error.status_code})" if isinstance(error, openai.APIStatusError) else ""
        words = words_of(error) if isinstance(error, openai.APIStatusError) else str(error)
        text = f"{self.service.base_url} did not answer{status}: {words}"
        return (text.replace(self.key, "…") if self.key else text)[:500]


class _Believed:
    """Tells answers on. Questions that the service refused are held back until it is known to answer others: where it refuses
    all, for want of credit, say, they were not answered.
    """

    def __init__(self, each: Each, client: ChatClient) -> None:
        self.told = 0
        self._each, self._client = each, client
        self._held: list[tuple[int, ChatAnswer]] = []
        self._one_at_a_time = asyncio.Lock()

    async def tell(self, index: int, answer: ChatAnswer) -> None:
        if answer.ending == "rejected":
            self._held.append((index, answer))
            async with self._one_at_a_time:
                if len(self._held) >= DOUBTFUL:
                    await self.end()
            return
        self._tell_held()
        self._tell(index, answer)

    async def end(self) -> None:
        """Raises ServiceFailed where it answers nothing at all."""
        if not self._held:
            return
        reason = self._held[-1][1].reason
        control = await self._client.answer(CONTROL)
        if control.ending == "rejected":
            raise ServiceFailed(reason)
        self._tell_held()

    def _tell_held(self) -> None:
        held, self._held = self._held, []
        for index, answer in held:
            self._tell(index, answer)

    def _tell(self, index: int, answer: ChatAnswer) -> None:
        self._each(index, answer)
        self.told += 1


def _read(completion: ChatCompletion, *, drawn: bool) -> ChatAnswer:
    choice = completion.choices[0]
    content = choice.logprobs.content if choice.logprobs is not None else None
    refusal = choice.message.refusal
    ending: Ending = "refused" if refusal else ENDINGS.get(choice.finish_reason, "stop")
    return ChatAnswer(
        text=(choice.message.content or refusal or "").strip(),
        logprob=sum(token.logprob for token in content) if content else None,
        tokens=completion.usage.completion_tokens if completion.usage else (len(content) if content else None),
        ending=ending,
        drawn=drawn,
        tokens_in=completion.usage.prompt_tokens if completion.usage else None,
    )


def _may_pass(status: int) -> bool:
    """Whether another try may bring an answer."""
    return status in (408, 409, 429) or status >= 500


def _asked_wait(response: Response) -> float | None:
    """How many seconds the service asks to wait, in one of the three ways in which services say it."""
    after, after_ms = response.headers.get("retry-after", ""), response.headers.get("retry-after-ms", "")
    with suppress(TypeError, ValueError):
        return max(0.0, float(after_ms) / 1000)
    with suppress(TypeError, ValueError):
        return max(0.0, float(after))
    with suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(after).timestamp() - time())
    return None


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """What happened first, out of the groups around it."""
    error: BaseException = failed
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
