"""Verdicts on answers: by the model itself, or by a service; told one by one as they come."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from accounts.chat.service import ChatService, Ledger
from annotations.teachers.prompts import Subject, messages_of
from annotations.teachers.replies import Reply, read_reply
from training.data import form_of
from training.exceptions import TeacherGone
from training.self_reward.spec import JudgeSpec, SelfRewardSpec

if TYPE_CHECKING:
    from pathlib import Path

    from annotations.teachers.judge import Budget
    from training.sampling import Sampler

Each = Callable[[int, Reply], None]
Stop = Callable[[], bool]
AGAIN = "That could not be read: {reason}. Reply once more, in the form that was asked for and nothing else."
TOO_LONG = "the question is longer than the judge can read"


def judge_by_service(
    judge: JudgeSpec, service: ChatService, subjects: Sequence[Subject], *, each: Each, stop: Stop, used: Path
) -> None:
    """Have a service judge, several at a time; what it used is written to `used`. Raises TeacherGone, also where what it may
    use is used up: by earlier attempts in the same folder, too.
    """
    from accounts.chat.client import ChatClient, ServiceFailed  # noqa: PLC0415 (weight)
    from annotations.teachers.judge import Teaching, judge_all  # noqa: PLC0415 (weight)

    teaching = Teaching(
        judge.prompt, judge.rubric, secrets.token_hex(), max_tokens=judge.max_tokens, temperature=judge.temperature
    )
    ledger = Ledger(used)
    client = ChatClient(service, key=os.environ.get(judge.key_variable, ""), usage=ledger)
    left = _left(judge, ledger, service)
    try:
        told = judge_all(client, teaching, subjects, each=lambda index, found: each(index, found.reply), budget=left, stop=stop)
    except ServiceFailed as failed:
        raise TeacherGone(
            f"The judge is away: {failed}", "What it has said is kept; the same command goes on from there."
        ) from failed
    if told < len(subjects) and not stop():
        raise TeacherGone(
            f"What the judge may use is used up: {ledger.requests} requests.",
            "Raise its limits and queue this again; what it has said is kept.",
        )


def _left(judge: JudgeSpec, ledger: Ledger, service: ChatService) -> Budget:
    """What may still be used. Light once the client is imported."""
    from annotations.teachers.judge import Budget  # noqa: PLC0415 (weight)

    spent = ledger.cost(service)
    return Budget(
        calls=None if judge.max_calls is None else max(0, judge.max_calls - ledger.requests),
        cost=None if judge.max_cost is None or spent is None else max(0.0, judge.max_cost - spent),
    )


def judge_by_model(spec: SelfRewardSpec, subjects: Sequence[Subject], *, each: Each, stop: Stop) -> None:
    """Have a model on this machine judge, a batch at a time; what cannot be read is asked for once more."""
    sampler = _sampler(spec)
    secret = secrets.token_hex()
    for first in range(0, len(subjects), spec.batch_size):
        if stop():
            return
        batch = subjects[first : first + spec.batch_size]
        asked: list[list[dict[str, Any]]] = [
            list(messages_of(spec.judge.prompt, one, spec.judge.rubric, secret=secret)) for one in batch
        ]
        replies, texts = _replies(spec, sampler, asked)
        again = [number for number, reply in enumerate(replies) if reply.is_malformed and reply.reason != TOO_LONG]
        for number in again:
            asked[number] += [
                {"role": "assistant", "content": texts[number] or "…"},
                {"role": "user", "content": AGAIN.format(reason=replies[number].reason)},
            ]
        second, _ = _replies(spec, sampler, [asked[number] for number in again])
        for number, reply in zip(again, second, strict=True):
            replies[number] = reply if reply.reason != TOO_LONG else replies[number]
        for number, reply in enumerate(replies):
            each(first + number, reply)


def _replies(spec: SelfRewardSpec, sampler: Sampler, asked: Sequence[list[dict[str, Any]]]) -> tuple[list[Reply], list[str]]:
    tokens = [sampler.tokens(messages) for messages in asked]
    room = sampler.longest
    fits = [number for number, ids in enumerate(tokens) if room is None or len(ids) + spec.judge.max_tokens <= room]
    found = sampler.answer([tokens[number] for number in fits]) if fits else []
    texts = dict(zip(fits, (one.text for one in found), strict=True))
    replies = [
        read_reply(texts[number], spec.judge.prompt, spec.judge.rubric.dimension_ids)
        if number in texts
        else Reply(reason=TOO_LONG)
        for number in range(len(asked))
    ]
    return replies, [texts.get(number, "") for number in range(len(asked))]


def _sampler(spec: SelfRewardSpec) -> Sampler:
    import torch  # noqa: PLC0415 (weight)

    from training.loading import load_for  # noqa: PLC0415 (weight)
    from training.sampling import Sampler  # noqa: PLC0415 (weight)

    torch.manual_seed(spec.seed)
    loaded = load_for(spec.judge.model or spec.model, spec.hardware)
    return Sampler(
        loaded.model,
        loaded.tokenizer,
        form=form_of(spec.prompt_format, has_template=loaded.tokenizer.chat_template is not None),
        max_new_tokens=spec.judge.max_tokens,
        temperature=spec.judge.temperature,
    )
