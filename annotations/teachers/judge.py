"""A teacher at work: many subjects asked of one service, verdicts as they come. Knows no Django.

A pair is asked in both orders: where the two replies disagree the verdict is a tie, for then the place decided and not the answer
(Zheng et al. 2023, arXiv:2306.05685, section 3.4). A malformed reply is asked for once more, and told what was wrong with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from accounts.chat.client import ChatAnswer, ChatClient, ChatQuestion
from annotations.rubric import Rubric
from annotations.teachers.prompts import Subject, TeacherPrompt, messages_of
from annotations.teachers.replies import Better, Reply, read_reply

AGAIN = "That could not be read: {reason}. Reply once more, in the form that was asked for and nothing else."
MOST_TRIES = 2
LOOK_EVERY_S = 0.01
_SWAPPED: Mapping[Better, Better] = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True)
class Teaching:
    """How one version of a teacher judges."""

    prompt: TeacherPrompt
    rubric: Rubric
    secret: str = field(repr=False)
    max_tokens: int = 400
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class Exchange:
    """One question asked of the service and what came back, for the log."""

    messages: Sequence[Mapping[str, str]]
    answer: ChatAnswer
    seconds: float
    malformed: str = ""


@dataclass(frozen=True)
class Judgement:
    """A teacher's verdict, or the `reason` why there is none. `consistent`: of a pair, whether both orders agreed."""

    reply: Reply
    exchanges: tuple[Exchange, ...]
    consistent: bool | None = None

    @property
    def reason(self) -> str:
        return self.reply.reason

    @property
    def tokens_in(self) -> int:
        """As far as the service counts them."""
        return sum(one.answer.tokens_in or 0 for one in self.exchanges)

    @property
    def tokens_out(self) -> int:
        return sum(one.answer.tokens or 0 for one in self.exchanges)


@dataclass(frozen=True)
class Budget:
    """How much may be used from here on. `cost` is in the prices' currency, and binds only where the service has prices."""

    calls: int | None = None
    cost: float | None = None


class _Purse:
    """What is left of a budget while several questions are under way: each is counted before it is asked."""

    def __init__(self, budget: Budget, client: ChatClient, teaching: Teaching) -> None:
        self._budget, self._client = budget, client
        self._least = 2 if teaching.prompt.kind == "pairwise" else 1
        self._calls, self._cost = client.usage.requests, client.usage.cost(client.service)
        self._under_way = self._done = 0

    async def take(self) -> bool:
        """Whether one more may be asked; waits where that depends on what those under way will cost."""
        while True:
            allowed = self._allows()
            if allowed is not None:
                self._under_way += bool(allowed)
                return allowed
            await asyncio.sleep(LOOK_EVERY_S)

    def give_back(self) -> None:
        """One is answered."""
        self._under_way -= 1
        self._done += 1

    def allows_again(self) -> bool:
        """Whether a question that is under way may be put once more, its reply having been malformed."""
        calls = self._client.usage.requests - self._calls + self._under_way * self._least
        spent = (self._client.usage.cost(self._client.service) or 0.0) - (self._cost or 0.0)
        return (self._budget.calls is None or calls <= self._budget.calls) and (
            self._budget.cost is None or self._cost is None or spent < self._budget.cost
        )

    def _allows(self) -> bool | None:
        """None: it cannot be told yet."""
        calls = self._client.usage.requests - self._calls + self._under_way * self._least
        if self._budget.calls is not None and calls + self._least > self._budget.calls:
            return None if self._under_way else False
        if self._budget.cost is None or self._cost is None:
            return True
        spent = (self._client.usage.cost(self._client.service) or 0.0) - self._cost
        if spent >= self._budget.cost:
            return False
        if not self._done:
            return None if self._under_way else True
        return True if spent + self._under_way * spent / self._done < self._budget.cost else None


async def judged(
    client: ChatClient, teaching: Teaching, subject: Subject, *, may_again: Callable[[], bool] = lambda: True
) -> Judgement:
    """One verdict, within `async with client`; a malformed reply is asked for once more where that may be. Raises ServiceFailed
    where the service cannot be had.
    """
    if teaching.prompt.kind != "pairwise":
        return await _asked(client, teaching, subject, may_again)
    one, other = await asyncio.gather(
        _asked(client, teaching, subject, may_again), _asked(client, teaching, subject.swapped, may_again)
    )
    return _both_orders(one, other)


def judge_all(
    client: ChatClient,
    teaching: Teaching,
    subjects: Sequence[Subject],
    *,
    each: Callable[[int, Judgement], None],
    budget: Budget | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Judge all, several at a time; `each` is told the index and the verdict as they come. Returns how many were told: fewer than
    all where `stop` said so or the budget was used up. Raises ServiceFailed; what was told by then stays told.
    """
    purse = _Purse(budget or Budget(), client, teaching)
    told = 0

    async def run() -> None:
        nonlocal told
        waiting = iter(enumerate(subjects))

        async def worker() -> None:
            nonlocal told
            for index, subject in waiting:
                if stop() or not await purse.take():
                    return
                found = await judged(client, teaching, subject, may_again=purse.allows_again)
                purse.give_back()
                each(index, found)
                told += 1

        async with client:
            await _all_of([worker() for _ in range(min(client.service.at_once, len(subjects)))])

    asyncio.run(run())
    return told


async def _all_of(crew: Sequence[Any]) -> None:
    """All of them, or the first thing that one of them raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in crew:
                group.create_task(one)
    except BaseExceptionGroup as failed:
        error: BaseException = failed
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _asked(client: ChatClient, teaching: Teaching, subject: Subject, may_again: Callable[[], bool]) -> Judgement:
    messages: list[dict[str, Any]] = list(messages_of(teaching.prompt, subject, teaching.rubric, secret=teaching.secret))
    exchanges: list[Exchange] = []
    for _ in range(MOST_TRIES):
        question = ChatQuestion(list(messages), teaching.max_tokens, teaching.temperature, teaching.seed)
        started = perf_counter()
        answer = await client.answer(question)
        reply = _read(answer, teaching)
        exchanges.append(Exchange(question.messages, answer, perf_counter() - started, reply.reason))
        if not reply.is_malformed or answer.ending in ("rejected", "filtered", "refused") or not may_again():
            break
        messages += [
            {"role": "assistant", "content": answer.text or "…"},
            {"role": "user", "content": AGAIN.format(reason=reply.reason)},
        ]
    return Judgement(reply, tuple(exchanges))


def _read(answer: ChatAnswer, teaching: Teaching) -> Reply:
    if answer.ending in ("rejected", "filtered"):
        return Reply(reason=f"the service refused the question: {answer.reason}")
    if answer.ending == "refused":
        return Reply(reason=f"the model declined to judge: {answer.text[:200]}")
    reply = read_reply(answer.text, teaching.prompt, teaching.rubric.dimension_ids)
    if reply.is_malformed and answer.ending == "length":
        return Reply(reason=f"it was cut off at {teaching.max_tokens} tokens", critique=reply.critique)
    return reply


def _both_orders(one: Judgement, other: Judgement) -> Judgement:
    """The second was asked with the answers swapped."""
    exchanges = one.exchanges + other.exchanges
    if one.reply.better is None or other.reply.better is None:
        failed = one.reply if one.reply.better is None else other.reply
        return Judgement(failed, exchanges)
    second = _SWAPPED[other.reply.better]
    consistent = one.reply.better == second
    better: Better = one.reply.better if consistent else "tie"
    critique = one.reply.critique if consistent else "Which came first decided, and not the answers: a tie."
    return Judgement(Reply(better=better, critique=critique), exchanges, consistent)
