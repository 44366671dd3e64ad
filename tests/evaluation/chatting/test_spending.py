"""What chatting with an endpoint costs: written down for each answer, kept within a day's budget, an admin's without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.endpoints import EndpointRefused, endpoint_save
from accounts.models import AuditEntry, Endpoint
from evaluation.chatting.asking import Piece, message, replies, talker_of
from evaluation.chatting.conversation import Wording
from evaluation.chatting.spending import ACTION, spending_record, spent_today
from tests.chat_server import ChatServer
from tests.evaluation.chatting.test_chat import KEY, SignedIn, echo, endpoint, events, post
from tests.evaluation.chatting.test_terminal import session

pytestmark = pytest.mark.django_db


def priced(one: Endpoint, **limits: Any) -> Endpoint:
    """A million a token and more: an answer of some words costs whole units."""
    prices = {"price_in": Decimal(1_000_000), "price_out": Decimal(2_000_000)}
    return endpoint_save(name=one.name, base_url=one.base_url, model=one.model, actor=None, **prices, **limits)  # type: ignore[arg-type]


@pytest.fixture
def dear() -> Iterator[Endpoint]:
    with endpoint("dear", ChatServer(echo)) as made:
        yield priced(made)


def log() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=ACTION).order_by("pk"))


def test_each_answer_of_an_endpoint_is_written_down_with_what_it_took_and_cost(signed_in: SignedIn, dear: Endpoint) -> None:
    client = signed_in("admin")
    events(post(client, "messages", model="dear", text="Hello there"))
    post(client, "messages", model="dear", text="Hello there", stream=False)
    client.post("/chat/", {"model": "dear", "text": "Hello there"})
    assert "5 you said" not in session(["dear"], "Hello there")
    entries = log()
    assert [one.actor_name for one in entries] == ["admin"] * 3 + [""]
    for one in entries:
        told = one.detail
        assert (told["tokens_in"], told["tokens_out"], told["cost"]) == (2, 5, 12.0), "words, as this service counts them"
        assert (told["ended"], told["requests"], told["is_estimate"], one.target_label) == ("answered", 1, False, "dear")
    assert spent_today(dear) == 48
    assert "Hello" not in json.dumps([one.detail for one in entries]), "what was said is nobody's but the page's"
    AuditEntry.objects.filter(pk=entries[0].pk).update(at=timezone.now() - timedelta(days=1))
    assert spent_today(dear) == 36


def test_what_costs_money_is_an_admins_to_ask_until_it_has_a_budget(signed_in: SignedIn, dear: Endpoint) -> None:
    member = signed_in("member")
    refused = post(member, "messages", model="dear", text="Hello there")
    assert refused.status_code == 422 and "has no budget for chat" in refused.json()["detail"]
    assert "has no budget for chat" in member.post("/chat/", {"model": "dear", "text": "Hello"}).content.decode()
    assert not log()
    priced(dear, chat_budget=Decimal(20))
    answers = [post(member, "messages", model="dear", text="Hello there", stream=False) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 422], "the answer that reaches the budget is still told whole"
    assert "used up: 24.0000 of 20" in answers[-1].json()["detail"] and "midnight" in answers[-1].json()["detail"]
    admin = signed_in("admin")
    assert post(admin, "messages", model="dear", text="Hello", stream=False).status_code == 422, "it binds everybody"
    assert "chat: 20 a day" in admin.get("/account/endpoints/").content.decode()
    assert len(log()) == 2
    call_command("endpoints", "save", "dear", "--url", dear.base_url, "--model", dear.model, "--chat-budget", "25")
    member = signed_in("member")
    assert post(member, "messages", model="dear", text="Hello", stream=False).status_code == 200
    assert KEY not in member.get("/chat/").content.decode()
    with pytest.raises(EndpointRefused, match="0 or more"):
        priced(dear, chat_budget=Decimal(-1))


def test_the_budget_holds_within_a_session_of_the_terminal_too(dear: Endpoint) -> None:
    priced(dear, chat_budget=Decimal(10))
    shown = session(["dear"], "Hello there", "And then?")
    assert "1 you said Hello there" in shown and "used up: 12.0000 of 10" in shown and "you said And" not in shown


def test_an_endpoint_without_prices_is_free_to_chat_with_and_is_written_down_as_well(signed_in: SignedIn) -> None:
    with endpoint("own", ChatServer(echo)):
        assert post(signed_in("member"), "messages", model="own", text="Hello there", stream=False).status_code == 200
    assert [(one.actor_name, one.detail["tokens_out"], one.detail["cost"]) for one in log()] == [("member", 5, None)]


def test_an_answer_that_somebody_stops_is_paid_for_as_far_as_it_was_heard() -> None:
    """Its service never says what it counted: about, then, and never nothing, or a budget could be talked past."""
    with endpoint("slow", ChatServer(lambda messages: "word " * 1000, word_s=0.002)) as slow:
        priced(slow)
        asked = message(talker_of("slow", actor=None), "Hello there", wording=Wording())

        async def some() -> None:
            async with aclosing(replies([asked])) as told:
                heard = 0
                async for event in told:
                    heard += isinstance(event, Piece)
                    if heard == 20:
                        return

        asyncio.run(some())
        spending_record([asked], None)
    told = log()[0].detail
    assert (told["ended"], told["is_estimate"]) == ("stopped", True)
    assert told["tokens_in"] >= 2 and told["tokens_out"] >= 20 and told["cost"] >= 42


def test_a_service_that_refuses_costs_nothing_and_is_written_down(signed_in: SignedIn) -> None:
    with endpoint("down", ChatServer(echo, refuse=lambda request: (401, f"no such key {KEY}", {}))) as down:
        priced(down)
        assert post(signed_in("admin"), "messages", model="down", text="Hello", stream=False).status_code == 502
    told = log()[0].detail
    assert (told["ended"], told["tokens_in"], told["cost"]) == ("failed", 0, 0.0) and KEY not in json.dumps(told)


def test_an_endpoint_that_costs_nothing_is_everybodys(signed_in: SignedIn) -> None:
    with endpoint("free", ChatServer(echo)) as made:
        free = endpoint_save(
            name=made.name, base_url=made.base_url, model=made.model, actor=None, price_in=Decimal(0), price_out=Decimal(0)
        )
        assert not free.has_prices
        assert post(signed_in("member"), "messages", model="free", text="Hello", stream=False).status_code == 200
