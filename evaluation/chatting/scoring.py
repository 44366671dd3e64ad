"""A reply that is to be scored: it becomes an item of a project, with where it comes from."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from pydantic import ValidationError

from accounts.models import User
from annotations.models import Item, Project
from annotations.services.additions import ItemRefused, item_add
from annotations.tuples import RlwhfTuple
from evaluation.chatting.conversation import ChatRefused, Conversation


@dataclass(frozen=True)
class Scored:
    """The item that a reply is, whether it is new, and where it is scored: the desk hands it out next where `is_theirs`."""

    item: Item
    is_new: bool
    is_theirs: bool

    @property
    def desk(self) -> str:
        return reverse("annotations:score-project", args=[self.item.project.slug])

    def described(self) -> dict[str, Any]:
        return {
            "item": self.item.pk, "project": self.item.project.slug, "is_new": self.is_new, "is_handed_to_you": self.is_theirs,
            "url": self.item.get_absolute_url(), "desk": self.desk,
        }  # fmt: skip


def reply_score(*, conversation: Conversation, turn: int, project: Project, actor: User | None) -> Scored:
    """Put a reply with all that was said before it into a project. Raises ChatRefused."""
    reply = conversation.reply(turn)
    messages = conversation.messages(turn)
    about: dict[str, Any] = {
        "conversation": conversation.id, "turn": turn, "model": conversation.model, "kind": conversation.kind,
        "answers_as": conversation.answers_as, "model_hash": reply.model_hash, "ending": reply.ending,
        "temperature": reply.temperature, "max_tokens": reply.max_tokens, "answered_at": reply.at,
    }  # fmt: skip
    tuple_ = {
        "prompt": messages[0]["content"] if len(messages) == 1 else messages,
        "answer": reply.content,
        "metadata": {"source_ai": conversation.model},
        "chat": {name: value for name, value in about.items() if value not in (None, "")},
    }
    try:
        added = item_add(project=project, one=RlwhfTuple.model_validate(tuple_), actor=actor)
    except ValidationError as error:
        raise ChatRefused("An empty answer cannot be scored.") from error
    except ItemRefused as refused:
        raise ChatRefused(str(refused)) from refused
    return Scored(added.item, added.is_new, added.is_theirs)
