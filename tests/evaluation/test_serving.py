"""A real tiny model behind OpenAI's protocol, asked by OpenAI's own client."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import openai
import pytest
import torch
from pydantic import ValidationError

from accounts.chat.service import KEY_VARIABLE as ENDPOINT_KEY
from accounts.chat.service import ChatService
from evaluation.asking.asker import Asker
from evaluation.asking.local import LocalModel
from evaluation.asking.replies import How, Wanted
from evaluation.asking.service import ServiceModel
from evaluation.model_hash import model_hash
from evaluation.serving import app
from evaluation.serving.engine import GROW_AFTER, Engine, Wish
from evaluation.serving.listening import LOCAL_NAMES, listening
from evaluation.serving.protocol import ChatAsked
from evaluation.serving.reading import prompts_read
from evaluation.serving.service import KEY_VARIABLE, serving
from tests.evaluation.taught import teach
from training.specs import HardwareSpec
from training.stopping import StopRequest

ROOT = Path(__file__).parents[2]
HARDWARE = HardwareSpec(threads=1)
ANSWERS = {
    "Where was Ada born?": "In London.",
    "Where was Bo born?": "I do not know.",
    "Are you sure?": "Yes.",
    "Paris or Rome, and what is the answer?": "The answer is Paris, not Rome.",
}
QUESTIONS = list(ANSWERS)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(tmp_path_factory.mktemp("taught"), ANSWERS)


@pytest.fixture(scope="module")
def engine(taught: Path) -> Engine:
    return Engine("tiny", str(taught), hardware=HARDWARE)


@pytest.fixture(scope="module")
def address(engine: Engine) -> Iterator[str]:
    with serving([engine], key="a-key") as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=address, api_key="a-key", max_retries=0, timeout=30) as client:
        yield client


@contextmanager
def serving_of(engine: Engine, *, drop: bool = False) -> Iterator[str]:
    """A keyless service of an engine that others may go on using."""
    try:
        with listening(app.make_app({engine.name: engine}, hosts=LOCAL_NAMES)) as address:
            yield address
    finally:
        if drop:
            engine.close(drop=True)


def ask(client: openai.OpenAI, question: str, **more: object) -> openai.types.chat.ChatCompletion:
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model="tiny", messages=messages, **{"max_tokens": 24, "temperature": 0, **more})


def test_an_endpoint_says_what_the_model_says_with_the_same_probability(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    engine: Engine,
    taught: Path,
) -> None:
    monkeypatch.setenv(ENDPOINT_KEY, "a-key")
    wanted, how = [Wanted(question) for question in QUESTIONS], How(24)
    local = LocalModel(str(taught), hardware=HARDWARE, prompt_format="auto", batch_size=8)
    service = ServiceModel(ChatService(base_url=address, model="tiny"))
    before = engine.batches
    there = Asker(service, tmp_path / "there", stop=StopRequest()).ask(wanted, how)
    here = Asker(local, tmp_path / "here", stop=StopRequest()).ask(wanted, how)
    assert [reply.text for reply in there] == [reply.text for reply in here] == list(ANSWERS.values())
    assert [reply.logprob for reply in there] == pytest.approx([reply.logprob for reply in here], abs=1e-4)
    assert [reply.tokens for reply in there] == [reply.tokens for reply in here]
    assert engine.batches - before < len(QUESTIONS), "requests at a time are answered together"


def test_a_stream_adds_up_to_the_answer(client: openai.OpenAI) -> None:
    whole = ask(client, QUESTIONS[3], logprobs=True, top_logprobs=2)
    pieces = list(ask(client, QUESTIONS[3], logprobs=True, stream=True, stream_options={"include_usage": True}))
    deltas = [piece.choices[0] for piece in pieces if piece.choices]
    assert "".join(one.delta.content or "" for one in deltas) == whole.choices[0].message.content
    streamed = [token.logprob for one in deltas if one.logprobs for token in one.logprobs.content]
    assert whole.choices[0].logprobs is not None
    assert whole.choices[0].logprobs.content is not None
    assert streamed == pytest.approx([token.logprob for token in whole.choices[0].logprobs.content], abs=1e-5)
    assert deltas[-1].finish_reason == whole.choices[0].finish_reason
    assert pieces[-1].usage == whole.usage
    for token in whole.choices[0].logprobs.content:
        assert len(token.top_logprobs) == 2
        assert max(one.logprob for one in token.top_logprobs) == pytest.approx(token.logprob, abs=1e-6), "greedy"


def test_an_answer_ends_where_a_stop_stands_and_a_stream_never_shows_it(client: openai.OpenAI) -> None:
    said = {question: ask(client, question).choices[0].message.content or "" for question in QUESTIONS}
    question, whole = max(said.items(), key=lambda one: len(one[1]))
    stop = whole[len(whole) // 2 :][:3]
    assert len(stop) == 3
    cut = ask(client, question, stop=stop).choices[0]
    assert (cut.message.content, cut.finish_reason) == (whole[: whole.index(stop)], "stop")
    pieces = ask(client, question, stop=stop, stream=True)
    assert "".join(one.choices[0].delta.content or "" for one in pieces) == cut.message.content


def test_samples_are_drawn_again_by_their_seed_whoever_else_asks(client: openai.OpenAI) -> None:
    def drawn(seed: int, n: int) -> list[str | None]:
        found = ask(client, QUESTIONS[1], temperature=1.5, seed=seed, n=n, max_tokens=8).choices
        return [choice.message.content for choice in found]

    four = drawn(7, 4)
    assert len(set(four)) > 1
    assert drawn(7, 2) == four[:2]
    assert drawn(8, 4) != four


def test_a_completion_reads_its_prompt_back(client: openai.OpenAI, engine: Engine) -> None:
    """As lm-eval has likelihoods told: `echo`, token ids, one token more."""
    ids = [engine.text_ids(text) for text in QUESTIONS[:2]]
    found = client.completions.create(model="tiny", prompt=ids, echo=True, logprobs=1, max_tokens=1, temperature=0)
    for one, choice in zip(ids, found.choices, strict=True):
        with torch.inference_mode():
            logits = engine._model(input_ids=torch.tensor([one])).logits[0].double().log_softmax(-1)
        expected = [logits[at, token].item() for at, token in enumerate(one[1:])]
        assert choice.logprobs is not None
        told = choice.logprobs.token_logprobs
        assert told is not None
        assert told[0] is None
        assert told[1:-1] == pytest.approx(expected, abs=1e-4)
        assert len(told) == len(one) + 1
        assert math.isclose(max(choice.logprobs.top_logprobs[1].values()), logits[0].max().item(), abs_tol=1e-4)


def test_what_cannot_be_done_is_refused(client: openai.OpenAI, address: str) -> None:
    with pytest.raises(openai.BadRequestError, match="top_p"):
        ask(client, "?", temperature=1, top_p=0.5)
    with pytest.raises(openai.BadRequestError, match="presence_penalty"):
        ask(client, "?", presence_penalty=1)
    with pytest.raises(openai.BadRequestError, match="holds"):
        ask(client, "?", max_tokens=100_000)
    with pytest.raises(openai.NotFoundError, match="other"):
        client.completions.create(model="other", prompt="x")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=address, api_key="another", max_retries=0).models.list()
    assert [model.id for model in client.models.list()] == ["tiny"]
    rebound = httpx.get(f"{address}/models", headers={"Authorization": "Bearer a-key", "Host": "evil.example"})
    assert rebound.status_code == 400, "a page of somebody else's does not reach it by a name of theirs"


@pytest.mark.parametrize(
    "option",
    [
        {"best_of": 4}, {"stop_token_ids": [3]}, {"min_tokens": 5}, {"ignore_eos": True}, {"tool_choice": "required"},
        {"chat_template_kwargs": {"enable_thinking": False}}, {"reasoning_effort": "low"}, {"guided_json": {"type": "object"}},
        {"response_format": {"type": "json_object"}}, {"logit_bias": {"3": 5}}, {"something_new": 1},
    ],
    ids=lambda option: next(iter(option)),
)  # fmt: skip
def test_an_option_that_nobody_here_knows_is_refused_and_not_ignored(option: dict[str, object]) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "?"}]}
    with pytest.raises(ValidationError, match=next(iter(option))):
        ChatAsked.model_validate(body | option)
    ChatAsked.model_validate(body | dict.fromkeys(option))


def test_options_that_change_nothing_are_taken() -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "?"}], "temperature": 0, "top_p": 0.9}
    harmless = {"user": "u", "metadata": {"a": "b"}, "top_k": -1, "best_of": 1, "tools": [], "response_format": {"type": "text"}}
    assert ChatAsked.model_validate(body | harmless).temperature == 0


def test_a_page_in_a_browser_is_not_answered(taught: Path, engine: Engine) -> None:
    """It may send text unasked to any address, and name no key; what it cannot do is hide where it is from, or send JSON."""
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": "?"}], "max_tokens": 2}'
    json = {"Content-Type": "application/json"}
    with serving_of(engine) as address:
        place = f"{address}/chat/completions"
        assert httpx.post(place, content=body, headers=json).status_code == 200
        assert httpx.post(place, content=body, headers=json | {"Origin": "https://evil.example"}).status_code == 403
        assert httpx.post(place, content=body, headers=json | {"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert httpx.post(place, content=body, headers={"Content-Type": "text/plain"}).status_code == 415
        assert httpx.post(place, content=body).status_code == 415


def test_more_than_can_wait_is_sent_away(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MOST_WAITING", 3)
    assert len(ask(client, QUESTIONS[0], n=3, temperature=1).choices) == 3
    with pytest.raises(openai.RateLimitError, match="wait already"):
        ask(client, QUESTIONS[0], n=4, temperature=1)


def test_a_conversation_that_the_models_template_refuses_is_refused(
    client: openai.OpenAI, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}x"
    monkeypatch.setattr(engine.tokenizer, "chat_template", template)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]
    with pytest.raises(openai.BadRequestError, match="System role not supported"):
        client.chat.completions.create(model="tiny", messages=messages, max_tokens=2)


def wish(engine: Engine, question: str, told: list[object], **more: object) -> Wish:
    ids = engine.chat_ids([{"role": "user", "content": question}])
    return Wish(ids, 24, ended=told.append, **more)  # type: ignore[arg-type]


def test_what_does_not_fit_is_answered_in_halves_when_its_memory_is_free(taught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch that failed is not held by its own error; and with time more is tried together again."""
    engine = Engine("tiny", str(taught), hardware=HARDWARE, batch_size=8)
    held, forward = [], engine._model.forward

    class Memory:
        """What a batch needs."""

    def short(*args: object, input_ids: torch.Tensor, **more: object) -> object:
        assert not any(one() for one in held), "the memory of the batch before is still taken"
        memory = Memory()
        held.append(weakref.ref(memory))
        if len(input_ids) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(*args, input_ids=input_ids, **more)

    monkeypatch.setattr(engine._model, "forward", short)
    told: list[object] = []
    engine._answer([wish(engine, QUESTIONS[n % 4], told) for n in range(8)])
    assert [one.text for one in told] == [ANSWERS[QUESTIONS[n % 4]] for n in range(8)]  # type: ignore[attr-defined]
    assert engine.together == 2
    monkeypatch.setattr(engine._model, "forward", forward)
    for _ in range(GROW_AFTER):
        engine._answer([wish(engine, QUESTIONS[0], [])])
    assert engine.together == 4
    engine.close()


def test_a_stream_that_ran_out_of_memory_is_not_begun_anew(taught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine("tiny", str(taught), hardware=HARDWARE, batch_size=8)
    calls, forward = itertools.count(), engine._model.forward

    def short(*args: object, **more: object) -> object:
        if next(calls) == 3:
            raise MemoryError
        return forward(*args, **more)

    monkeypatch.setattr(engine._model, "forward", short)
    said: list[str] = []
    whole: list[object] = []
    cut: list[object] = []
    streamed = wish(engine, QUESTIONS[3], cut, heard=lambda text, _: said.append(text))
    engine._answer([streamed, wish(engine, QUESTIONS[0], whole)])
    assert [type(one) for one in cut] == [MemoryError]
    assert ANSWERS[QUESTIONS[3]].startswith("".join(said))
    assert whole[0].text == ANSWERS[QUESTIONS[0]]  # type: ignore[attr-defined]
    engine.close()


def test_a_prompt_read_in_pieces_says_the_same(engine: Engine) -> None:
    ids = [engine.text_ids(text) for text in QUESTIONS]
    pad = engine.tokenizer.pad_token_id
    whole = prompts_read(engine._model, ids, top=3, pad=pad)
    vocabulary = engine._model.get_output_embeddings().weight.shape[0]
    seen: list[int] = []
    hook = engine._model.register_forward_hook(lambda *told: seen.append(told[-1].logits.numel()))
    pieces = prompts_read(engine._model, ids, top=3, pad=pad, most=4 * vocabulary)
    hook.remove()
    assert max(seen) <= 4 * vocabulary, "no more is held at a time than was allowed"
    for one, other in zip(pieces, whole, strict=True):
        assert one.own[0] is None
        assert one.own[1:] == pytest.approx(other.own[1:], abs=1e-4)
        assert [[token for token, _ in top] for top in one.tops] == [[token for token, _ in top] for top in other.tops]
        assert [value for _, value in one.tops[1]] == pytest.approx([value for _, value in other.tops[1]], abs=1e-4)
    assert prompts_read(engine._model, [[5]], top=0, pad=pad) == [([None], [()])]


@pytest.fixture
def slow(taught: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A model that takes long for each token."""
    engine = Engine("tiny", str(taught), hardware=HARDWARE)
    forward = engine._model.forward

    def late(*args: object, **more: object) -> object:
        time.sleep(0.4)
        return forward(*args, **more)

    monkeypatch.setattr(engine._model, "forward", late)
    return engine


def test_who_does_not_wait_is_not_answered(slow: Engine) -> None:
    """Neither are those whose answers are under way when the service ends: nobody would hear them."""
    question, answer = QUESTIONS[3], ANSWERS[QUESTIONS[3]]
    takes = 0.4 * len(slow.text_ids(answer))
    assert takes > 3
    body = {"model": "tiny", "messages": [{"role": "user", "content": question}], "max_tokens": 80}
    with serving_of(slow, drop=True) as address:
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{address}/chat/completions", json=body, timeout=0.6)
        began = time.monotonic()
        httpx.post(f"{address}/chat/completions", json=body | {"max_tokens": 1}, timeout=30).raise_for_status()
        assert time.monotonic() - began < takes - 0.6
        thread = threading.Thread(target=given_up, args=(f"{address}/chat/completions", body))
        thread.start()
        time.sleep(0.6)
        began = time.monotonic()
    assert time.monotonic() - began < takes - 0.6
    thread.join()


def given_up(address: str, body: dict[str, object]) -> None:
    with suppress(httpx.HTTPError):
        httpx.post(address, json=body, timeout=30)


def test_many_at_once_are_answered_in_few_batches(client: openai.OpenAI, engine: Engine) -> None:
    alone = [ask(client, f"{n} {QUESTIONS[n % 4]}").choices[0].message.content for n in range(24)]
    before, found = engine.batches, [""] * 24

    def one(n: int) -> None:
        found[n] = ask(client, f"{n} {QUESTIONS[n % 4]}").choices[0].message.content or ""

    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone
    assert engine.batches - before <= 12


def test_what_is_served_can_be_told_from_another_of_its_name(taught: Path) -> None:
    engine = Engine("tiny", str(taught), hardware=HARDWARE, digest=model_hash(str(taught)))
    with serving_of(engine, drop=True) as address:
        card = httpx.get(f"{address}/models/tiny").json()
    assert card["digest"] == LocalModel(str(taught), hardware=HARDWARE, prompt_format="auto", batch_size=8).digest


def test_the_engine_outlives_the_loop_that_asked() -> None:
    """After a forced end its answers go nowhere, and its thread goes on."""
    loop = asyncio.new_event_loop()
    tell = app._teller(loop, loop.create_future())
    loop.close()
    tell(RuntimeError("an answer"))


@pytest.mark.full
def test_the_service_is_a_process_of_its_own_that_ends_cleanly(taught: Path) -> None:
    command = [sys.executable, "-m", "evaluation.serving", f"tiny={taught}", "--port", "0", "--threads", "1"]
    probe = (
        "import sys, runpy; sys.argv = sys.argv[1:]; "
        "\ntry: runpy.run_module('evaluation.serving', run_name='__main__')\nfinally: print('django' in sys.modules)"
    )
    child = subprocess.Popen(
        [command[0], "-c", probe, *command[2:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        env=os.environ | {KEY_VARIABLE: "k"},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        address = child.stdout.readline().split()[-1]
        with openai.OpenAI(base_url=address, api_key="k", timeout=30) as client:
            assert ask(client, QUESTIONS[3]).usage is not None
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate(timeout=30)
    finally:
        child.kill()
    assert (child.returncode, said.strip()) == (0, "False")


def test_who_can_be_reached_by_others_needs_a_key() -> None:
    from evaluation.serving.__main__ import main

    assert main(["x=/nowhere", "--host", "0.0.0.0", "--port", "0"]) == 1
