"""The client that asks services: against a real server on this machine."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing

import pytest

from accounts.chat import client as chat_client
from accounts.chat.client import ChatAnswer, ChatClient, ChatQuestion, ServiceFailed
from accounts.chat.service import ChatService, Usage
from tests.chat_server import ChatServer, serving

KEY = "sk-very-secret"


def question(text: str, **more) -> ChatQuestion:
    return ChatQuestion([{"role": "user", "content": text}], max_tokens=8, **more)


def ask(server: ChatServer, questions: list[ChatQuestion], **service) -> tuple[dict[int, ChatAnswer], ChatClient]:
    found: dict[int, ChatAnswer] = {}
    with serving(server) as url:
        client = ChatClient(ChatService(base_url=url, model="m", **service), key=KEY)
        client.ask(questions, each=found.__setitem__)
    return found, client


def echo(messages):
    return f"you said {messages[-1]['content']}"


def test_many_are_asked_at_once_and_each_answer_is_that_of_its_question():
    server = ChatServer(lambda messages: (time.sleep(0.05), echo(messages))[1])
    found, client = ask(server, [question(str(number)) for number in range(20)], at_once=5, price_in=2.0, price_out=10.0)
    assert {index: answer.text for index, answer in found.items()} == {number: f"you said {number}" for number in range(20)}
    assert 2 <= server.most_at_once <= 5
    assert found[3].logprob == pytest.approx(3 * math.log(0.5))
    assert (client.usage.requests, client.usage.tokens_in, client.usage.tokens_out) == (20, 20, 60)
    assert client.usage.cost(client.service) == pytest.approx((20 * 2 + 60 * 10) / 1e6)
    assert Usage(requests=1).cost(ChatService(base_url="http://x/v1", model="m")) is None
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


def test_it_keeps_to_the_requests_a_minute():
    server = ChatServer(echo)
    started = time.monotonic()
    ask(server, [question(str(number)) for number in range(4)], requests_per_minute=600)
    # However late one arrives, none comes before its turn.
    assert all(at - started >= number * 0.1 for number, at in enumerate(sorted(server.times)))


def test_what_failed_on_the_way_is_tried_again_when_the_service_says():
    tries = []

    def busy(request):
        tries.append(time.monotonic())
        return (429, "slow down", {"retry-after-ms": "30"}) if len(tries) < 3 else None

    found, _ = ask(ChatServer(echo, refuse=busy), [question("a")])
    assert found[0].text == "you said a"
    assert len(tries) == 3 and tries[1] - tries[0] >= 0.03


def test_what_a_service_does_not_know_it_is_not_asked_for_again():
    refused = []

    def picky(request):
        for name in ("logprobs", "max_tokens"):
            if name in request:
                refused.append(name)
                return 400, f"Unsupported parameter: '{name}'", {}
        return None

    server = ChatServer(echo, refuse=picky)
    found, _ = ask(server, [question("a"), question("b")], at_once=1)
    assert found[1] == ChatAnswer("you said b", None, 3, tokens_in=1)
    assert refused == ["logprobs", "max_tokens"]
    assert server.requests[0]["max_completion_tokens"] == 8


def test_samples_have_their_temperature_and_their_seed_and_the_greedy_answer_has_none():
    server = ChatServer(echo)
    ask(server, [question("a", temperature=0.7, seed=3), question("b", seed=3)], at_once=1)
    assert (server.requests[0]["temperature"], server.requests[0]["seed"]) == (0.7, 3)
    assert server.requests[1]["temperature"] == 0 and "seed" not in server.requests[1]


@pytest.mark.parametrize(
    ("status", "message"), [(401, f"bad key {KEY}"), (400, "the prompt is too long"), (404, "no such model")]
)
def test_a_failure_says_what_the_service_said_and_never_the_key(status, message):
    server = ChatServer(echo, refuse=lambda request: (status, message, {}))
    with pytest.raises(ServiceFailed) as failed:
        ask(server, [question(str(number)) for number in range(3)])
    assert str(status) in str(failed.value)
    assert KEY not in str(failed.value)
    assert KEY not in repr(ChatClient(ChatService(base_url="http://x/v1", model="m"), key=KEY))


def test_a_redirect_is_not_followed_since_the_key_would_go_with_it():
    with serving(ChatServer(echo)) as elsewhere:
        server = ChatServer(echo, refuse=lambda request: (307, "", {"Location": f"{elsewhere}/chat/completions"}))
        with pytest.raises(ServiceFailed):
            ask(server, [question("a")])


def test_only_the_addresses_that_were_looked_up_are_called():
    server = ChatServer(echo)
    with serving(server) as url:
        port = url.split(":")[2]
        service = ChatService(base_url=f"http://a.name.that.is.nowhere.example:{port}", model="m", addresses=["127.0.0.1"])
        found = {}
        ChatClient(service, key="").ask([question("a")], each=found.__setitem__)
    assert found[0].text == "you said a"
    assert server.headers[0]["host"].startswith("a.name.that.is.nowhere.example")


def test_asked_to_stop_it_finishes_what_is_under_way_and_asks_no_more():
    server, found = ChatServer(echo), {}
    with serving(server) as url:
        client = ChatClient(ChatService(base_url=url, model="m", at_once=1), key="")
        whole = client.ask([question("a"), question("b")], each=found.__setitem__, stop=lambda: bool(found))
    assert not whole
    assert list(found) == [0]


def test_a_second_try_is_a_request_too():
    """A service in trouble is not asked more often than the pace allows."""
    tries = []

    def busy(request):
        tries.append(time.monotonic())
        return (429, "slow down", {"retry-after-ms": "1"}) if len(tries) < 4 else None

    started = time.monotonic()
    found, client = ask(ChatServer(echo, refuse=busy), [question("a")], requests_per_minute=600)
    assert found[0].text == "you said a"
    assert all(at - started >= number * 0.1 for number, at in enumerate(tries))
    assert (client.usage.requests, client.usage.retried) == (1, 3)


def test_a_page_in_place_of_an_answer_says_where_to_look():
    server = ChatServer(echo, refuse=lambda request: (200, "<html>Welcome</html>", {}))
    with pytest.raises(ServiceFailed, match="/v1"):
        ask(server, [question("a"), question("b")])


def test_an_answer_that_is_none_is_tried_again(monkeypatch):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    server = ChatServer(echo, refuse=lambda request: (200, f"upstream is down {KEY}", {}))
    with pytest.raises(ServiceFailed, match="upstream is down …"):
        ask(server, [question("a")])
    assert len(server.times) == chat_client.TRIES


def test_a_model_that_takes_no_temperature_answers_without_and_it_is_noted():
    def picky(request):
        if request.get("temperature", 1.0) == 1.0:
            return None
        told = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."
        return 400, told, {}

    server = ChatServer(echo, refuse=picky)
    found, _ = ask(server, [question("a"), question("b", temperature=1.0)], at_once=1)
    assert found[0].drawn and found[0].text == "you said a"
    assert not found[1].drawn
    assert "temperature" not in server.requests[0] and server.requests[1]["temperature"] == 1.0


@pytest.mark.parametrize(
    ("status", "message", "ending"),
    [
        (400, "This model's context holds 4096 tokens. Please reduce max_tokens or the messages.", "rejected"),
        (413, "Payload too large", "rejected"),
        (400, "The response was filtered: content_filter", "filtered"),
        (403, "Your input was flagged", "filtered"),
    ],
)
def test_a_question_that_is_refused_is_answered_with_the_reason_and_the_others_are_asked(status, message, ending):
    def picky(request):
        return (status, f"{message} {KEY}", {}) if "odd" in str(request["messages"]) else None

    server = ChatServer(echo, refuse=picky)
    found, _ = ask(server, [question("odd" if number % 3 == 0 else "fine") for number in range(9)], at_once=1)
    assert [found[number].ending for number in range(3)] == [ending, "stop", "stop"]
    assert message in found[0].reason and KEY not in found[0].reason
    assert (found[0].text, found[0].logprob) == ("", None)
    assert all("max_tokens" in request for request in server.requests)


def test_many_refused_questions_in_a_row_are_no_reason_to_end_while_the_service_answers_others():
    server = ChatServer(echo, refuse=lambda request: (400, "no", {}) if "odd" in str(request["messages"]) else None)
    found, _ = ask(server, [question("odd")] * 12, at_once=4)
    assert {answer.ending for answer in found.values()} == {"rejected"} and len(found) == 12


def test_where_everything_is_refused_nothing_is_told():
    told, refused = {}, []

    def out_of_credit(request):
        refused.append(request)
        return None if len(refused) <= 2 else (400, "Your credit is too low", {})

    with serving(ChatServer(echo, refuse=out_of_credit)) as url, pytest.raises(ServiceFailed, match="credit is too low"):
        client = ChatClient(ChatService(base_url=url, model="m", at_once=1), key="")
        client.ask([question(str(number)) for number in range(40)], each=told.__setitem__)
    assert list(told) == [0, 1]
    assert len(refused) <= 2 + chat_client.DOUBTFUL + 1


def test_how_an_answer_ended_is_told():
    replies = {
        "cut": {"finish_reason": "length", "message": {"role": "assistant", "content": None}},
        "filter": {"finish_reason": "content_filter", "message": {"role": "assistant", "content": "I"}},
        "refuse": {"message": {"role": "assistant", "content": None, "refusal": "I cannot help with that."}},
        "plain": {"message": {"role": "assistant", "content": "Yes."}},
    }
    found, _ = ask(ChatServer(lambda messages: replies[messages[-1]["content"]]), [question(name) for name in replies])
    assert [(found[number].text, found[number].ending) for number in range(4)] == [
        ("", "length"), ("I", "filtered"), ("I cannot help with that.", "refused"), ("Yes.", "stop"),
    ]  # fmt: skip


@pytest.mark.parametrize("wait", [{}, {"retry-after": "60"}])
def test_who_waits_for_a_turn_or_another_try_ends_at_once_when_it_is_to_stop(wait):
    server, began = ChatServer(echo, refuse=lambda request: (503, "busy", wait)), time.monotonic()
    with serving(server) as url:
        client = ChatClient(ChatService(base_url=url, model="m", requests_per_minute=1), key="")
        whole = client.ask([question("a"), question("b")], each=lambda *_: None, stop=lambda: bool(server.times))
    assert not whole
    assert time.monotonic() - began < 10


def test_a_service_that_asks_for_an_hour_is_not_waited_for():
    server = ChatServer(echo, refuse=lambda request: (429, "quota", {"retry-after": "3600"}))
    with pytest.raises(ServiceFailed, match="3600 seconds"):
        ask(server, [question("a")])


def test_what_went_wrong_with_an_answer_here_is_raised_as_it_was():
    def full(index, answer):
        raise OSError(28, "No space left on device")

    with serving(ChatServer(echo)) as url, pytest.raises(OSError, match="No space left"):
        ChatClient(ChatService(base_url=url, model="m"), key="").ask([question("a"), question("b")], each=full)


def test_one_question_at_a_time_within_an_event_loop():
    async def talk(url):
        async with ChatClient(ChatService(base_url=url, model="m"), key="") as client:
            first, second = await asyncio.gather(client.answer(question("a")), client.answer(question("b")))
            return first.text, second.text, await client.model_card(), client.usage.requests

    server = ChatServer(echo)
    server.cards["m"] = {"id": "m", "hash": "abc"}
    with serving(server) as url:
        assert asyncio.run(talk(url)) == ("you said a", "you said b", {"id": "m", "hash": "abc"}, 2)
        server.cards.clear()
        assert asyncio.run(talk(url))[2] == {}


def heard(server: ChatServer, text: str = "hello", *, most: int | None = 8, pieces: int | None = None):
    """The pieces of a streamed answer, the answer, and the client; with `pieces`, only so many are listened to."""

    async def listen():
        found, answer = [], None
        with serving(server) as url:
            async with ChatClient(ChatService(base_url=url, model="m"), key=KEY) as client:
                asked = ChatQuestion([{"role": "user", "content": text}], max_tokens=most)
                async with aclosing(client.stream(asked)) as stream:
                    async for one in stream:
                        if isinstance(one, str):
                            found.append(one)
                        else:
                            answer = one
                        if len(found) == pieces:
                            break
                if pieces is not None:
                    await asyncio.to_thread(server.hung_up.wait, 5)
        return found, answer, client

    return asyncio.run(listen())


def test_a_streamed_answer_comes_in_pieces_and_then_whole():
    server = ChatServer(echo)
    pieces, answer, client = heard(server)
    assert pieces == ["you ", "said ", "hello "]
    assert answer == ChatAnswer("you said hello", None, 3, tokens_in=1)
    assert (client.usage.requests, client.usage.tokens_in, client.usage.tokens_out) == (1, 1, 3)
    assert server.requests[0]["stream"] and "logprobs" not in server.requests[0]
    assert "max_tokens" not in (heard(server, most=None), server.requests[-1])[1]


def test_a_stream_is_asked_for_without_what_the_service_does_not_know():
    def narrow(request):
        return (400, "Unsupported parameter: stream_options", {}) if "stream_options" in request else None

    pieces, answer, _ = heard(ChatServer(echo, refuse=narrow))
    assert (len(pieces), answer.text, answer.tokens) == (3, "you said hello", None)


def test_a_service_that_cannot_stream_is_asked_for_the_whole():
    pieces, answer, _ = heard(ChatServer(echo, streams=False))
    assert (pieces, answer.text) == ([], "you said hello")


def test_a_refused_message_is_an_answer_with_the_reason_and_a_broken_stream_a_failure():
    _, answer, _ = heard(ChatServer(echo, refuse=lambda request: (400, "too long", {})))
    assert answer.ending == "rejected" and "too long" in answer.reason
    with pytest.raises(ServiceFailed, match="the card is gone"):
        heard(ChatServer(echo, breaks_after=1))
    with pytest.raises(ServiceFailed, match="wrong key") as failed:
        heard(ChatServer(echo, refuse=lambda request: (401, f"wrong key {KEY}", {})))
    assert KEY not in str(failed.value)


def test_who_listens_no_more_hangs_up():
    server = ChatServer(lambda messages: "word " * 2000, word_s=0.002)
    pieces, answer, _ = heard(server, pieces=2)
    assert pieces == ["word ", "word "] and answer is None
    assert server.hung_up.is_set()
