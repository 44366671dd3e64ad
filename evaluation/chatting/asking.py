"""Asking models, and telling what they say as they say it. The client is loaded when somebody first asks: it takes a second."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from accounts.chat.answers import ChatAnswer, ChatQuestion
from accounts.chat.pace import Pace
from accounts.chat.service import KEY_VARIABLE, ChatService
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import HostRefused
from accounts.models import User
from accounts.secrets import SecretLost
from evaluation.chatting.conversation import ChatRefused, Conversation, Turn, Wording
from evaluation.chatting.jobs import serving_key
from evaluation.chatting.selectors import artifact_named, endpoint_named, serving_of
from evaluation.chatting.spending import Taken, check_spending, spending_record

if TYPE_CHECKING:
    from accounts.chat.client import ChatClient

logger = logging.getLogger(__name__)

ANSWER_S = 600.0
"""So long a model of this site may be silent: on a processor a large one is slow."""
TRIES = 2
"""Somebody sits and waits: what goes wrong twice is told, and they decide."""
CLIENT = "accounts.chat.client"
NO_ANSWER = ("rejected", "filtered")


@dataclass(frozen=True)
class Talker:
    """Who answers under a name, and how it is reached. The key is shown nowhere."""

    name: str
    kind: Literal["model", "endpoint"]
    service: ChatService
    key: str
    model_hash: str = ""

    def __repr__(self) -> str:
        return f"Talker({self.name!r})"

    @property
    def answers_as(self) -> str:
        """What the service calls the model, where that is another name."""
        return self.service.model if self.service.model != self.name else ""


def talker_of(name: str, *, actor: User | None) -> Talker:
    """Who answers `actor` (None: the shell) under that name now. Raises ChatRefused where nobody does, with what helps."""
    if (endpoint := endpoint_named(name)) is not None:
        check_spending(endpoint, actor)
        try:
            service = endpoint_service(endpoint)
            key = endpoint_environment(endpoint).get(KEY_VARIABLE, "")
        except (HostRefused, SecretLost) as error:
            raise ChatRefused(str(error)) from error
        return Talker(name, "endpoint", service, key)
    if artifact_named(name) is None:
        raise ChatRefused(f"There is no model and no endpoint named “{name}”.")
    found = serving_of(name)
    if found.state != "ready" or found.job is None:
        raise ChatRefused(f"{found.reason} {found.hint}".strip())
    service = ChatService(base_url=found.address, model=name, timeout_s=ANSWER_S, addresses=["127.0.0.1"])
    return Talker(name, "model", service, serving_key(found.job), found.digest)


@dataclass(frozen=True)
class Asked:
    """A message to one model: all that was said before it, and how it is asked."""

    talker: Talker
    conversation: Conversation
    wording: Wording
    taken: Taken = field(default_factory=Taken)


def message(
    talker: Talker, text: str, *, wording: Wording, before: Conversation | None = None, conversation_id: str = ""
) -> Asked:
    """A message that goes on from `before`, or begins. The system prompt is that of the beginning. Raises ChatRefused."""
    if before is None:
        about = {"kind": talker.kind, "answers_as": talker.answers_as, "system": wording.system.strip()}
        before = Conversation(id=conversation_id or new_id(), model=talker.name, **about)
    elif before.model != talker.name:
        raise ChatRefused(f"This conversation is with “{before.model}”, not with “{talker.name}”: start a new one.")
    return Asked(talker, before.asked(text), wording)


def new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Piece:
    """Some more words of the model on that side."""

    side: int
    text: str


@dataclass(frozen=True)
class Done:
    """A reply is whole: the conversation with it."""

    side: int
    conversation: Conversation


@dataclass(frozen=True)
class Failed:
    """No reply came; the conversation is as it was before."""

    side: int
    reason: str


Event = Piece | Done | Failed


async def replies(asked: Sequence[Asked]) -> AsyncGenerator[Event]:
    """What all of them say, as it comes: pieces, and for each side at last `Done` or `Failed`. Whoever listens no more closes the
    generator, and the models end; what they took is then in each one's `taken`, to be written down (`spending_record`).
    """
    told: asyncio.Queue[Event] = asyncio.Queue()
    # In a thread of its own: the pages that this process serves meanwhile do not wait for an import.
    await asyncio.get_running_loop().run_in_executor(None, import_module, CLIENT)
    tasks = [asyncio.create_task(_told(side, one, told)) for side, one in enumerate(asked)]
    try:
        left = len(tasks)
        while left:
            event = await told.get()
            left -= not isinstance(event, Piece)
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _told(side: int, asked: Asked, told: asyncio.Queue[Event]) -> None:
    try:
        async with aclosing(reply(asked)) as pieces:
            async for one in pieces:
                told.put_nowait(replace(one, side=side))
    except Exception as error:  # of one side; the other goes on, the page is told, and the log says where it was
        logger.exception("chat: %s did not answer", asked.talker.name)
        told.put_nowait(Failed(side, f"{type(error).__name__}: {error}"))


async def reply(asked: Asked) -> AsyncGenerator[Event]:
    """What one model says, as side 0."""
    from accounts.chat.client import ChatClient, ServiceFailed  # noqa: PLC0415 (weight)

    talker, wording, taken = asked.talker, asked.wording, asked.taken
    question = ChatQuestion(asked.conversation.messages(), wording.max_tokens, wording.temperature)
    taken.is_asked = True
    try:
        client = ChatClient(talker.service, talker.key, usage=taken.usage, pace=_pace_of(talker.service), tries=TRIES)
        async with client, aclosing(client.stream(question)) as heard, _hash_of(talker, client) as digest:
            async for one in heard:
                if isinstance(one, str):
                    taken.heard.append(one)
                    yield Piece(0, one)
                else:
                    taken.ended = "failed" if one.ending in NO_ANSWER else "answered"
                    yield _ended(asked, one, await digest)
    except ServiceFailed as failed:
        taken.ended = "failed"
        yield Failed(0, str(failed))


@asynccontextmanager
async def _hash_of(talker: Talker, client: ChatClient) -> AsyncGenerator[asyncio.Future[str]]:
    """The hash of the model's files, where its service tells one: asked while the answer comes, unless requests are counted."""

    async def told() -> str:
        if talker.model_hash or talker.service.requests_per_minute is not None:
            return talker.model_hash
        return str((await client.model_card()).get("digest") or "")

    task = asyncio.create_task(told())
    try:
        yield task
    finally:
        task.cancel()


def _ended(asked: Asked, answer: ChatAnswer, digest: str) -> Event:
    if answer.ending in NO_ANSWER:
        return Failed(0, answer.reason)
    turn = Turn(
        role="assistant",
        content=answer.text,
        model_hash=digest,
        ending=answer.ending,
        tokens=answer.tokens,
        temperature=None if answer.drawn else asked.wording.temperature,
        max_tokens=asked.wording.max_tokens,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Done(0, asked.conversation.answered(turn))


def replies_now(asked: Sequence[Asked], *, actor: User | None) -> Iterator[Event]:
    """`replies`, where no event loop runs: as they come too, and what they took is written down."""
    events = replies(asked)

    async def following() -> Event | None:
        return await anext(events, None)

    async def closed() -> None:
        await events.aclose()

    with asyncio.Runner() as runner:
        try:
            while (event := runner.run(following())) is not None:
                yield event
        finally:
            runner.run(closed())
            spending_record(asked, actor)


_PACES: dict[tuple[str, int | None], Pace] = {}


def _pace_of(service: ChatService) -> Pace:
    """One pace for all messages of this process to a service, whoever writes them."""
    return _PACES.setdefault((service.base_url, service.requests_per_minute), Pace(service.requests_per_minute))
