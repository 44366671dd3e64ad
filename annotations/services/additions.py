"""One item at a time: what somebody met elsewhere and wants scored here."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Item, Project, Turn
from annotations.services.alone import alone
from annotations.services.comparing import comparisons_open
from annotations.services.import_batch import Batch
from annotations.services.standing import standing
from annotations.tuples import RlwhfTuple, content_hash


class ItemRefused(ValueError):  # noqa: N818 - reads as what happened
    """This cannot become an item of the project; the message says why."""


@dataclass(frozen=True)
class Added:
    """The item, whether it is new, and whether its desk hands it to whoever added it."""

    item: Item
    is_new: bool
    is_theirs: bool


@transaction.atomic
def item_add(*, project: Project, one: RlwhfTuple, actor: User | None) -> Added:
    """Make a tuple that nobody has scored an item of a project, and have whoever adds it score it, where they may and it is to be
    scored. The same prompt and answer of the same model is one item. Raises ItemRefused.
    """
    project = alone(project.pk)
    batch = Batch(project=project, rater_name="")
    problem = batch.add_record([one], 0)
    if problem is not None:
        raise ItemRefused(f"{problem.field} {problem.reason}.".strip())
    batch.flush()
    batch.close()
    is_new = batch.counts.items_added > 0
    if is_new and project.mode == Project.Mode.COMPARE:
        comparisons_open(project=project)
    hashed = content_hash(one.messages, one.answer, one.metadata.source_ai)
    item = Item.every.get(project=project, content_hash=hashed)
    if item.deleted_at is not None:
        raise ItemRefused(f"This answer was an item of {project} before, and somebody has deleted it.")
    if is_new:
        audit.record(actor=actor, action="annotations.item_added", target=item, detail={"project": project.slug})
    return Added(item, is_new, is_theirs=actor is not None and _handed(item, project, actor))


def _handed(item: Item, project: Project, user: User) -> bool:
    """Have the desk hand the item to a person; False where it is not to be scored, or not by them (any more)."""
    place = standing(project_id=project.pk, user=user)
    if not item.is_open or place.refusal:
        return False
    now = timezone.now()
    turn, _ = Turn.objects.get_or_create(
        item=item,
        rater_id=place.rater_id,
        defaults={
            "project": project, "state": Turn.State.ASSIGNED, "updated_at": now,
            "held_until": now + timedelta(days=project.assignment_days),
        },
    )  # fmt: skip
    return turn.state in (Turn.State.ASSIGNED, Turn.State.HELD)
