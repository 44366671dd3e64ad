"""What models say, as server-sent events: `piece`, and for each side at last `done` or `failed`."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import orjson
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from accounts.models import User
from evaluation.chatting.asking import Asked, Done, Event, Failed, Piece, replies, replies_now
from evaluation.chatting.conversation import Conversation, sealed
from evaluation.chatting.spending import spending_record


def reply_document(conversation: Conversation) -> dict[str, Any]:
    """The newest reply of a conversation, with the conversation as it is handed out."""
    turn = len(conversation.turns) - 1
    return {
        "conversation": sealed(conversation), "model": conversation.model, "turn": turn,
        "text": conversation.turns[turn].content, "ending": conversation.turns[turn].ending,
        "tokens": conversation.turns[turn].tokens, "model_hash": conversation.turns[turn].model_hash,
    }  # fmt: skip


def _encoded(event: Event) -> bytes:
    match event:
        case Piece(side, text):
            name, data = "piece", {"side": side, "text": text}
        case Done(side, conversation):
            name, data = "done", {"side": side, **reply_document(conversation)}
        case Failed(side, reason):
            name, data = "failed", {"side": side, "reason": reason}
    return b"".join((f"event: {name}\ndata: ".encode(), orjson.dumps(data), b"\n\n"))


def reply_stream(request: HttpRequest, asked: Sequence[Asked], *, actor: User) -> StreamingHttpResponse:
    """The response that tells the replies as they come."""
    content = _async(asked, actor) if isinstance(request, ASGIRequest) else _sync(asked, actor)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(content, content_type="text/event-stream", headers=headers)


async def _async(asked: Sequence[Asked], actor: User) -> AsyncIterator[bytes]:
    # What looked up the person holds a connection of the pool until the response ends: never, for a stream.
    await sync_to_async(_give_back_connection)()
    try:
        async with aclosing(replies(asked)) as events:
            async for event in events:
                yield _encoded(event)
    finally:
        # Also where the reader has gone and this is cancelled: what was said until then is paid for all the same.
        await asyncio.shield(sync_to_async(_record)(asked, actor))


def _record(asked: Sequence[Asked], actor: User) -> None:
    try:
        spending_record(asked, actor)
    finally:
        connection.close()


def _give_back_connection() -> None:
    connection.close()  # that of the thread in which this runs, which served the request: looked up here, it would be another


def _sync(asked: Sequence[Asked], actor: User) -> Iterator[bytes]:
    """For a server without async (WSGI)."""
    for event in replies_now(asked, actor=actor):
        yield _encoded(event)
