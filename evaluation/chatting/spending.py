"""What chatting with endpoints costs: who may, how much is spent today, and a line in the audit log for each answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from django.db.models import DecimalField, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from accounts import audit
from accounts.chat.service import ChatService, Usage
from accounts.models import AuditEntry, Endpoint, Role, User
from annotations.gate import estimated_tokens
from evaluation.chatting.conversation import ChatRefused, Conversation

if TYPE_CHECKING:
    from evaluation.chatting.asking import Asked

ACTION: Final = "evaluation.chat_answered"
Ended = Literal["answered", "failed", "stopped"]


@dataclass
class Taken:
    """What one answer took so far. Until it is whole, its service has counted nothing, and its length is what was heard."""

    usage: Usage = field(default_factory=Usage)
    ended: Ended = "stopped"
    is_asked: bool = False
    heard: list[str] = field(default_factory=list)

    def counted(self, conversation: Conversation) -> tuple[Usage, bool]:
        """What it took, and whether that is an estimate: where the service told no count, or was stopped before it did."""
        if self.usage.tokens_in or self.usage.tokens_out:
            return self.usage, False
        if self.ended == "failed" and not self.heard:
            return self.usage, False
        asked = sum(estimated_tokens(str(one["content"])) for one in conversation.messages())
        return Usage(max(1, self.usage.requests), asked, estimated_tokens("".join(self.heard)), self.usage.retried), True


def spent_today(endpoint: Endpoint) -> Decimal:
    """What chatting with an endpoint has cost since midnight (UTC), in its prices' currency."""
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    told = AuditEntry.objects.filter(
        action=ACTION, target_type=Endpoint._meta.label_lower, target_id=str(endpoint.pk), at__gte=midnight
    )
    cost = Cast(KT("detail__cost"), DecimalField(max_digits=20, decimal_places=10))
    return told.aggregate(spent=Sum(cost))["spent"] or Decimal()


def check_spending(endpoint: Endpoint, actor: User | None) -> None:
    """Raises ChatRefused where what an answer costs may not be spent: as everywhere, what costs money is an admin's to start,
    unless one has given chat a budget, which then binds everybody. None: from the shell.
    """
    if not endpoint.has_prices:
        return
    if endpoint.chat_budget is None:
        if actor is not None and not actor.has_role(Role.ADMIN):
            raise ChatRefused(
                f"What “{endpoint}” is asked costs money, and it has no budget for chat: an admin can ask it, or give it one "
                f"(Account → Endpoints → {endpoint} → “Chat, a day”)."
            )
        return
    if (spent := spent_today(endpoint)) >= endpoint.chat_budget:
        raise ChatRefused(
            f"Today's budget for chat with “{endpoint}” is used up: {spent:.4f} of {endpoint.chat_budget:f}. It begins anew at "
            f"midnight (UTC); an admin can raise it (Account → Endpoints → {endpoint} → “Chat, a day”)."
        )


def spending_record(asked: Sequence[Asked], actor: User | None) -> None:
    """Write down what was asked of endpoints, by whom, and what it took; no word of what was said."""
    for one in asked:
        if one.talker.kind == "endpoint" and one.taken.is_asked:
            _record(one.talker.name, one.talker.service, one.taken, one.conversation, actor)


def _record(name: str, service: ChatService, taken: Taken, conversation: Conversation, actor: User | None) -> None:
    used, is_estimate = taken.counted(conversation)
    detail = {
        "model": service.model, "conversation": conversation.id, "ended": taken.ended, "requests": used.requests,
        "tokens_in": used.tokens_in, "tokens_out": used.tokens_out, "cost": used.cost(service), "is_estimate": is_estimate,
    }  # fmt: skip
    # It may have been forgotten while it answered.
    audit.record(actor=actor, action=ACTION, target=Endpoint.objects.filter(name=name).first(), detail=detail)
