"""One step of a chain, asked of one service for many items at a time, within what may be spent. Knows no Django."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accounts.chat.answers import plain_text
from accounts.chat.client import ChatAnswer, ChatClient, ChatQuestion
from annotations.chains.prompts import ChainPrompt, Work, messages_of


@dataclass(frozen=True)
class Step:
    """What is asked, and how."""

    prompt: ChainPrompt
    max_tokens: int
    temperature: float = 0.0


@dataclass(frozen=True)
class Said:
    """What a specialist said, or the `reason` why that is nothing. Cost is in the service's currency; None: it has no prices."""

    text: str
    reason: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None


def asked(
    client: ChatClient,
    step: Step,
    works: Sequence[Work],
    *,
    secret: str,
    each: Callable[[int, Said], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Ask for all, unless `stop` says so; `each` is told the index and what was said as it comes. Raises ServiceFailed; what was
    told stays told.
    """
    questions = [ChatQuestion(messages_of(step.prompt, work, secret=secret), step.max_tokens, step.temperature) for work in works]
    client.ask(questions, each=lambda index, answer: each(index, _said(client, step, answer)), stop=stop)


def _said(client: ChatClient, step: Step, answer: ChatAnswer) -> Said:
    tokens_in, tokens_out = answer.tokens_in or 0, answer.tokens or 0
    service = client.service
    cost = None
    if (service.price_in, service.price_out) != (None, None):
        cost = (tokens_in * (service.price_in or 0) + tokens_out * (service.price_out or 0)) / 1e6
    text = plain_text(answer.text).strip()
    return Said(text, _reason(step, answer, text), tokens_in, tokens_out, cost)


def _reason(step: Step, answer: ChatAnswer, text: str) -> str:
    """Half an answer is none: the next specialist would take it for a whole one."""
    if answer.ending in ("rejected", "filtered"):
        return f"the service refused the question: {answer.reason}"
    if answer.ending == "refused":
        return f"the model declined: {text[:200]}"
    if answer.ending == "length":
        return f"it was cut off at {step.max_tokens} tokens"
    return "" if text else "it said nothing"


def room(*, most: int, calls: int | None, cost: float | None, dearest: float | None) -> int:
    """How many questions may be asked now: of `most`, with so many calls and so much money left, where one has cost `dearest` at
    most so far (None: not known, so one is asked to learn it).
    """
    if calls is not None:
        most = min(most, max(0, calls))
    if cost is None:
        return most
    if cost <= 0:
        return 0
    if not dearest:
        return min(most, 1) if dearest is None else most
    return min(most, int(cost / dearest))
