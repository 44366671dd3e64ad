"""Who answers for a teacher in a run: its endpoint, or what stands in for it, within what is left of its budget."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Sum

from accounts.chat.answers import plain_text
from accounts.chat.client import ChatClient, ServiceFailed
from accounts.chat.service import KEY_VARIABLE
from accounts.endpoints import endpoint_environment, endpoint_service
from accounts.hosts import HostRefused
from accounts.models import Endpoint
from accounts.secrets import SecretLost
from annotations.models import Item, TeacherCall, TeacherEvidence, TeacherRun
from annotations.services.teachers import LONGEST_REPLY
from annotations.teachers.judge import Budget, Judgement, Teaching
from annotations.teachers.prompts import TeacherPrompt

NO_TEACHER = (ServiceFailed, HostRefused, SecretLost)


@dataclass(frozen=True)
class Shown:
    """The evidence that a teacher is shown in one call, and where it comes from in it."""

    evidence: TeacherEvidence
    source: str
    trouble: str = ""

    @property
    def columns(self) -> dict[str, Any]:
        """Of the log's entry."""
        return {"evidence": self.evidence, "evidence_source": self.source, "evidence_trouble": self.trouble}


@dataclass
class Voice:
    """Who answers: an endpoint, or, without one, the rules."""

    source: TeacherCall.Source
    endpoint: Endpoint | None
    model: str = ""
    """Of the endpoint's; without one, whichever it is set to now."""

    @cached_property
    def client(self) -> ChatClient:
        """Raises HostRefused and SecretLost."""
        assert self.endpoint is not None  # rules ask nobody
        key = endpoint_environment(self.endpoint).get(KEY_VARIABLE, "")
        service = endpoint_service(self.endpoint)
        return ChatClient(service.model_copy(update={"model": self.model or service.model}), key=key)

    def call(
        self, run: TeacherRun, item: Item, judgement: Judgement, *, other: Item | None = None, shown: Shown | None = None
    ) -> TeacherCall:
        """The log's entry, not yet saved."""
        service = self.client.service
        prices = service.price_in, service.price_out
        spent = judgement.tokens_in * (prices[0] or 0) + judgement.tokens_out * (prices[1] or 0)
        return TeacherCall(
            run=run,
            item=item,
            other=other,
            source=self.source,
            reply=plain_text(judgement.exchanges[-1].answer.text)[:LONGEST_REPLY],
            score=judgement.reply.score,
            better=judgement.reply.better or "",
            consistent=judgement.consistent,
            reason=plain_text(judgement.reason)[:LONGEST_REPLY],
            questions=len(judgement.exchanges),
            tokens_in=judgement.tokens_in,
            tokens_out=judgement.tokens_out,
            cost=None if prices == (None, None) else Decimal(str(round(spent / 1e6, 8))),
            seconds=sum(one.seconds for one in judgement.exchanges),
            **(shown.columns if shown is not None else {}),
        )


def voices_of(run: TeacherRun) -> Iterator[Voice]:
    """The endpoint, then what stands in for it."""
    version = run.version
    # A version judges by one model: who points the endpoint at another makes the next version.
    yield Voice(TeacherCall.Source.LIVE, version.endpoint, version.model)
    if version.fallback is not None:
        yield Voice(TeacherCall.Source.FALLBACK, version.fallback)
    if version.uses_rules:
        yield Voice(TeacherCall.Source.RULES, None)


def teaching_of(run: TeacherRun) -> Teaching:
    version = run.version
    return Teaching(
        prompt=TeacherPrompt.model_validate(version.prompt),
        rubric=run.project.rubric_version.rubric,
        secret=f"{settings.SECRET_KEY}:{version.pk}",
        max_tokens=version.max_tokens,
        temperature=version.temperature,
    )


def reference_of(run: TeacherRun, item: Item) -> str:
    """What the teacher is told of the gold answers."""
    return " or ".join(item.gold_answers) if run.version.uses_reference else ""


def evidence_in(shown: Shown | None) -> str:
    """What the teacher is shown."""
    return "" if shown is None else shown.evidence.text


def budget_of(run: TeacherRun) -> Budget:
    """What is left of the run's, after what it has used."""
    teacher = run.version.teacher
    if teacher.max_calls is None and teacher.max_cost is None:
        return Budget(calls=None, cost=None)
    verdicts = TeacherRun.objects.values("questions", "cost").get(pk=run.pk)
    looking = run.evidence.filter(source=TeacherEvidence.Source.MODEL).aggregate(calls=Sum("questions"), cost=Sum("cost"))
    used_calls = verdicts["questions"] + (looking["calls"] or 0)
    used_cost = (verdicts["cost"] or 0) + (looking["cost"] or 0)
    calls = None if teacher.max_calls is None else max(0, teacher.max_calls - used_calls)
    cost = None if teacher.max_cost is None else float(max(Decimal(0), teacher.max_cost - used_cost))
    return Budget(calls=calls, cost=cost)
