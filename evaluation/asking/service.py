"""A model that a service runs, asked over OpenAI's chat protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accounts.chat.service import ChatService, Usage, used_of
from evaluation.asking.replies import How, Keep, Reply, Wanted, as_messages
from training.exceptions import Stopped, TrainingError
from training.stopping import StopRequest

if TYPE_CHECKING:
    from accounts.chat.client import ChatClient


class ServiceUnavailable(TrainingError):  # noqa: N818 (the name says what happened)
    """A service did not answer as it should."""

    kind = "service"


class ServiceModel:
    """One model of a service. What it is, only the service knows: the same name counts as the same model, but where the service
    tells a digest of its files, as ours does. What is used is counted in `used`.
    """

    def __init__(self, service: ChatService, used: Usage | None = None) -> None:
        self._service, self._used = service, Usage() if used is None else used

    @cached_property
    def digest(self) -> str:
        told = self._client.told_of_model().get("digest")
        named = (self._service.base_url, self._service.model, *([told] if isinstance(told, str) else []))
        return hashlib.sha256("\0".join(named).encode()).hexdigest()

    def settings(self) -> Mapping[str, Any]:
        return {"protocol": "openai-chat"}

    def reply(self, wanted: Sequence[Wanted], how: How, *, keep: Keep, stop: StopRequest) -> None:
        # the client takes a second to import: only where something is to be asked
        from accounts.chat.client import ChatAnswer, ChatQuestion, ServiceFailed  # noqa: PLC0415 (weight)

        stop.defer()
        questions = [
            ChatQuestion(as_messages(one.prompt), how.max_new_tokens, how.temperature, seed=how.seed + one.sample)
            for one in wanted
        ]

        def each(index: int, answer: ChatAnswer) -> None:
            said = Reply(answer.text, answer.logprob, answer.tokens, None, answer.ending, answer.reason, answer.drawn)
            keep([(index, said)])

        try:
            whole = self._client.ask(questions, each=each, stop=lambda: stop.asked)
        except ServiceFailed as failed:
            raise ServiceUnavailable(str(failed), "What it has answered is kept: start the evaluation again later.") from failed
        if not whole:
            raise Stopped

    @cached_property
    def _client(self) -> ChatClient:
        from accounts.chat.client import ChatClient  # noqa: PLC0415 (weight)

        return ChatClient(self._service, usage=self._used)

    def usage(self) -> dict[str, Any]:
        """What was used for what was asked and not kept, as the service counts it."""
        return used_of(self._used, self._service)
