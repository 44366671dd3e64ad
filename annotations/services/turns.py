"""What every action on an item has in common: lock it, end the turn, count. Hand-written SQL, because each submission comes
through here: one statement for what belongs together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from annotations.models import Item, RubricVersion, Score, Turn, revoked
from annotations.rubric import Rubric
from annotations.services.standing import CAP, NOT_A_MEMBER, PAUSED, QUALIFICATION, Standing, qualification, standing

# A page left open over lunch says nothing about how long the item took.
LONGEST_SECONDS = 1800.0
REFUSALS: dict[str, Promise] = {
    PAUSED: gettext_lazy("You are paused in this project; ask whoever leads it."),
    NOT_A_MEMBER: gettext_lazy("This project is for its members alone; ask whoever leads it to add you."),
    CAP: gettext_lazy("You have scored as many items as one person may in this project. Thank you."),
    QUALIFICATION: gettext_lazy("Score the qualification items first."),
}


class ScoringRefused(ValueError):  # noqa: N818 - reads as what happened
    """What was submitted cannot be taken; the message says why, `field` where."""

    def __init__(self, message: str, field: str = "overall") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class LockedItem:
    """An item as it is now, locked until the transaction ends, with how one person stands to it and to its project."""

    place: Standing
    pk: int
    project_id: int
    people_scores: int
    is_open: bool
    extra_raters: int
    priority: int
    iteration: int
    gold_score: float | None
    is_qualification: bool
    is_deleted: bool
    answer_length: int
    rubric_version_id: int
    rubric_hash: str
    # Whether what this person says of it now counts for nothing: they, or the project's rubric, are revoked.
    is_revoked: bool
    # How this person stands to the item; None: not at all so far.
    state: str | None

    @property
    def is_gold(self) -> bool:
        return self.gold_score is not None

    @property
    def rubric(self) -> Rubric:
        """The project's, of now."""
        return RubricVersion(pk=self.rubric_version_id, content_hash=self.rubric_hash).rubric


LOCK = """
SELECT item.id, item.project_id, item.people_scores, item.is_open, item.extra_raters, item.priority, item.iteration,
  item.gold_score, item.is_qualification, item.deleted_at IS NOT NULL, char_length(item.answer), project.rubric_version_id,
  rubric.content_hash,
  EXISTS (SELECT FROM annotations_revocation AS one
    WHERE one.lifted_at IS NULL AND (one.rater_id = %(rater)s OR one.rubric_version_id = project.rubric_version_id)),
  (SELECT turn.state FROM annotations_turn AS turn WHERE turn.item_id = item.id AND turn.rater_id = %(rater)s)
FROM annotations_item AS item JOIN annotations_project AS project ON project.id = item.project_id
JOIN annotations_rubricversion AS rubric ON rubric.id = project.rubric_version_id
WHERE item.id = %(item)s
FOR NO KEY UPDATE OF item
"""


def item_locked(*, item: Item, user: User) -> LockedItem:
    """Lock an item for what `user` does with it; whoever acts on it next waits, and so does whoever changes its project.

    Call it in a transaction. Raises Item.DoesNotExist.
    """
    place = standing(project_id=item.project_id, user=user)
    with connection.cursor() as run:
        run.execute(LOCK, {"item": item.pk, "rater": place.rater_id})
        row = run.fetchone()
    if row is None:
        raise Item.DoesNotExist(f"There is no item {item.pk} any more.")
    return LockedItem(place, *row)


def may_score(item: LockedItem) -> None:
    """Raises ScoringRefused where this person may not judge the item (any more)."""
    if item.is_deleted:
        raise ScoringRefused(_("This item has been deleted in the meantime."))
    if item.state == Turn.State.REVEALED:
        raise ScoringRefused(_("You have seen the others' scores of this item, so you can no longer score it blind."))
    if item.state == Turn.State.WROTE:
        raise ScoringRefused(_("You wrote this answer, so others score it."))
    # Whoever has the item in hand was let in when they got it; that work is taken.
    if item.state is None:
        _may_begin(item)


def _may_begin(item: LockedItem) -> None:
    """Who was not handed the item is asked what they would be asked when they get one."""
    place = item.place
    if place.refusal in REFUSALS:
        raise ScoringRefused(str(REFUSALS[place.refusal]))
    if place.cap is not None and place.scored >= place.cap:
        raise ScoringRefused(str(REFUSALS[CAP]))
    if place.qualification_items and not item.is_qualification and qualification(place=place).asked:
        raise ScoringRefused(str(REFUSALS[QUALIFICATION]))


def asked_otherwise(item: LockedItem) -> ScoringRefused:
    """Nothing of the kind that the project asks for now is there to be taken back."""
    refusal = _("This project asks for something else now, so what you gave for item %(number)s stands.")
    return ScoringRefused(refusal % {"number": item.pk})


@dataclass(frozen=True)
class Change:
    """What an action adds to somebody's running counts."""

    scored: int = 0
    skipped: int = 0
    completed: int = 0
    gold: int = 0
    seconds: float = 0.0


# The turn is over, what was written has served, and the person's counts move on: always together.
SETTLE = """
WITH settled AS (
  INSERT INTO annotations_turn (item_id, rater_id, project_id, state, held_until, updated_at)
  VALUES (%(item)s, %(rater)s, %(project)s, %(state)s, NULL, %(now)s)
  ON CONFLICT (item_id, rater_id) DO UPDATE SET state = excluded.state, held_until = NULL, updated_at = excluded.updated_at
), served AS (
  DELETE FROM annotations_draft WHERE item_id = %(item)s AND rater_id = %(rater)s
)
INSERT INTO annotations_progress AS progress (project_id, rater_id, scored, skipped, completed, gold, seconds, cursor)
VALUES (%(project)s, %(rater)s, %(scored)s, %(skipped)s, %(completed)s, %(gold)s, %(seconds)s, -1)
ON CONFLICT (project_id, rater_id) DO UPDATE SET
  scored = progress.scored + excluded.scored, skipped = progress.skipped + excluded.skipped,
  completed = progress.completed + excluded.completed, gold = progress.gold + excluded.gold,
  seconds = progress.seconds + excluded.seconds
"""
COUNT = SETTLE[SETTLE.index("INSERT INTO annotations_progress") :]


def settle(item: LockedItem, state: Turn.State, change: Change) -> None:
    """This person is done with the item."""
    _run(SETTLE, item, change, state=state.value, now=timezone.now())


def count(item: LockedItem, change: Change) -> None:
    _run(COUNT, item, change)


def _run(statement: str, item: LockedItem, change: Change, **more: str | datetime) -> None:
    keys = {"item": item.pk, "rater": item.place.rater_id, "project": item.project_id}
    with connection.cursor() as run:
        run.execute(statement, keys | vars(change) | more)


@dataclass(frozen=True)
class Told:
    """One live score by a person, as the item's running figures need it; or the one that a submission has made already."""

    pk: int
    item_id: int
    rater_id: int
    overall: float | None
    submission: UUID | None
    # Whether it counts for nothing now.
    is_revoked: bool = False


def told_by_people(item: LockedItem, submission: UUID | None = None) -> list[Told]:
    """The item's live scores by people, and the score with this submission, whatever it is of."""
    wanted = Q(item=item.pk, withdrawn_at=None, rater__kind="person")
    if submission is not None:
        wanted |= Q(submission=submission)
    found = Score.objects.filter(wanted).annotate(is_revoked=ExpressionWrapper(revoked(), BooleanField()))
    return [Told(*row) for row in found.values_list("pk", "item_id", "rater_id", "overall", "submission", "is_revoked")]


def overalls_of(told: Iterable[Told]) -> list[float]:
    """What the item's median and spread are of: scores, not those that could not be verified, nor revoked ones."""
    return [one.overall for one in told if one.overall is not None and not one.is_revoked]


UPDATE = """
UPDATE annotations_item SET people_scores = %(people)s, is_open = %(is_open)s, consensus = %(consensus)s, spread = %(spread)s,
  priority = %(priority)s, extra_raters = %(extra)s
WHERE id = %(item)s
"""


def item_counted(item: LockedItem, *, people: int, overalls: list[float]) -> int:
    """Write down what people's live scores now say of the item: how many, the median and the spread of those that are
    not revoked (`overalls`), and whether more are wanted. Returns +1 where that closed it, −1 where it opened it, else 0.
    """
    place = item.place
    spread = max(overalls) - min(overalls) if len(overalls) > 1 else None
    disputed = spread is not None and spread >= place.disagreement_threshold
    extra = item.extra_raters
    if disputed and not extra and people >= place.needed:
        extra = place.extra_raters
    is_open = people < place.needed + extra and not item.is_gold and not item.is_deleted
    values: dict[str, Any] = {
        "people": people,
        "is_open": is_open,
        "consensus": median(overalls) if overalls else None,
        "spread": spread,
        "priority": max(item.priority, 1) if disputed and is_open else item.priority,
        "extra": extra,
        "item": item.pk,
    }
    with connection.cursor() as run:
        run.execute(UPDATE, values)
    if item.is_gold or item.is_deleted:
        return 0
    was_open = item.people_scores < place.needed + item.extra_raters
    return int(was_open) - int(is_open)


def storable(text: str) -> str:
    """Without NUL characters, which no database text can hold."""
    return text.replace("\x00", "").strip()


def sane_seconds(seconds: float | None) -> float | None:
    return None if seconds is None or not seconds >= 0 else min(float(seconds), LONGEST_SECONDS)
