"""Who has seen others' scores of what: from then on they can give, change or take back none of their own."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Item, Turn
from annotations.services.raters import person_rater
from annotations.services.turns import Change, item_locked, settle


@transaction.atomic
def item_reveal(*, item: Item, actor: User) -> None:
    """Let a person see the others' scores of an item that they have not scored; they are then not asked to score it."""
    locked = item_locked(item=item, user=actor)
    if locked.state != Turn.State.SCORED:
        settle(locked, Turn.State.REVEALED, Change())
        audit.record(actor=actor, action="annotations.scores_revealed", target=item)


@transaction.atomic
def scores_shown(*, items: Collection[int], actor: User) -> None:
    """Note that a person has been shown the others' scores of these items: from now on their own, if any, stands, and they
    cannot give one.
    """
    rater = person_rater(user=actor)
    known = Turn.objects.filter(item__in=items, rater=rater, state=Turn.State.REVEALED).values_list("item_id", flat=True)
    if not (new := set(items) - set(known)):
        return
    # When they last did something with an item stays as it is: seeing is nothing that an undo takes back.
    now = timezone.now()
    turns = [
        Turn(item_id=item, rater=rater, project_id=project, state=Turn.State.REVEALED, updated_at=now)
        for item, project in Item.every.filter(pk__in=new).order_by("pk").values_list("pk", "project_id")
    ]
    changed = ["state", "held_until"]
    Turn.objects.bulk_create(turns, update_conflicts=True, unique_fields=["item", "rater"], update_fields=changed)
