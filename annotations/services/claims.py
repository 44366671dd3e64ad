"""Which item a person gets. Hand-written SQL: it has to lock, count and skip in one statement."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotations.models import Draft, Item, Turn
from annotations.services.standing import CAP, QUALIFICATION, Standing, qualification

# A candidate lost to somebody else in the instant between finding and holding it; more than a few in a row do not happen.
ATTEMPTS = 20
Values = dict[str, Any]
# Nobody should be able to tell which items are gold.
_CHANCE = SystemRandom()


@dataclass(frozen=True)
class Claim:
    """An item held for somebody, or why there is none: one of `standing`'s reasons, or "" where nothing is left."""

    item: int | None = None
    # Whether it was theirs before: then there may be a draft.
    was_held: bool = False
    reason: str = ""


# Open items are walked in order: urgent ones first, then by position from where this person is. Items that enough others
# hold, or have been assigned, are passed over, and so are rows that somebody is claiming or scoring this instant.
FIND = """
SELECT item.id, item.position, item.priority
FROM annotations_item AS item
WHERE item.project_id = %(project)s AND item.is_open AND {where} AND item.deleted_at IS NULL
  AND (item.skill = '' OR item.skill = ANY(%(skills)s))
  AND NOT EXISTS (SELECT FROM annotations_turn AS mine WHERE mine.item_id = item.id AND mine.rater_id = %(rater)s)
  AND item.people_scores + (
    SELECT count(*) FROM annotations_turn AS other
    WHERE other.item_id = item.id AND other.state IN ('held', 'assigned') AND other.held_until > %(now)s
  ) < %(needed)s + item.extra_raters
ORDER BY item.priority DESC, item.position
LIMIT 1
FOR NO KEY UPDATE OF item {wait}
"""
FIND_URGENT = FIND.format(where="item.priority > 0", wait="SKIP LOCKED")
FIND_ON = FIND.format(where="item.priority = 0 AND item.position > %(cursor)s", wait="SKIP LOCKED")
FIND_ANY = FIND.format(where="true", wait="SKIP LOCKED")
# The last resort: a row that was passed over because somebody is scoring it may still need another score.
FIND_WAITING = FIND.format(where="true", wait="")

# The count is taken again, now that the row is locked: a hold may have been committed while FIND was under way.
HOLD = """
WITH held AS (
  INSERT INTO annotations_turn (item_id, rater_id, project_id, state, held_until, updated_at)
  SELECT item.id, %(rater)s, item.project_id, 'held', %(until)s, %(now)s
  FROM annotations_item AS item
  WHERE item.id = %(item)s AND item.is_open
    AND item.people_scores + (
      SELECT count(*) FROM annotations_turn AS other
      WHERE other.item_id = item.id AND other.state IN ('held', 'assigned') AND other.held_until > %(now)s
    ) < %(needed)s + item.extra_raters
  ON CONFLICT (item_id, rater_id) DO NOTHING
  RETURNING item_id
), moved AS (
  INSERT INTO annotations_progress AS progress (project_id, rater_id, scored, skipped, completed, gold, seconds, cursor)
  SELECT %(project)s, %(rater)s, 0, 0, 0, 0, 0, %(cursor)s FROM held
  ON CONFLICT (project_id, rater_id) DO UPDATE SET cursor = excluded.cursor
)
SELECT item_id FROM held
"""

# What they hold already, and what was assigned to them: first with a draft, then held, then assigned, the longest first.
# One that others have closed in the meantime is let go, unless they have begun to write about it.
MINE = """
WITH mine AS (
  SELECT turn.id, turn.item_id, turn.state
  FROM annotations_turn AS turn JOIN annotations_item AS item ON item.id = turn.item_id
  LEFT JOIN annotations_draft AS draft ON draft.item_id = turn.item_id AND draft.rater_id = turn.rater_id
  WHERE turn.rater_id = %(rater)s AND turn.project_id = %(project)s AND turn.state IN ('held', 'assigned')
    AND item.deleted_at IS NULL AND turn.item_id <> ALL(%(besides)s)
    AND (item.is_open OR item.gold_score IS NOT NULL OR draft.id IS NOT NULL)
  ORDER BY draft.id IS NULL, turn.state = 'assigned', turn.id
  LIMIT 1
)
UPDATE annotations_turn AS turn SET held_until = greatest(turn.held_until, %(until)s)
FROM mine WHERE turn.id = mine.id
RETURNING turn.item_id
"""

# Gold items come to each person in an order of their own. Nobody counts how many hold one.
HOLD_GOLD = """
INSERT INTO annotations_turn (item_id, rater_id, project_id, state, held_until, updated_at)
SELECT item.id, %(rater)s, item.project_id, 'held', %(until)s, %(now)s
FROM annotations_item AS item
WHERE item.project_id = %(project)s AND item.gold_score IS NOT NULL AND item.deleted_at IS NULL
  AND item.is_qualification = %(qualifying)s
  AND NOT EXISTS (SELECT FROM annotations_turn AS mine WHERE mine.item_id = item.id AND mine.rater_id = %(rater)s)
ORDER BY CASE WHEN %(qualifying)s THEN item.position ELSE item.position # hashint8extended(%(rater)s, 0) END
LIMIT 1
ON CONFLICT (item_id, rater_id) DO NOTHING
RETURNING item_id
"""


def item_claimed(*, place: Standing, besides: Collection[int] = ()) -> Claim:
    """Hold an item for a person; call it in a transaction. `besides` are items that their page has already."""
    if place.refusal:
        return Claim(reason=place.refusal)
    now = timezone.now()
    values: Values = {
        "project": place.project_id, "rater": place.rater_id, "needed": place.needed, "now": now, "until": now + place.hold,
        "skills": list(place.skills), "besides": list(besides),
    }  # fmt: skip
    if (mine := _first(MINE, values)) is not None:
        return Claim(mine, was_held=True)
    if place.qualification_items:
        asked = qualification(place=place)
        if asked.asked:
            held = _held(place).filter(item__is_qualification=True, item__gold_score__isnull=False)
            return _qualifying(values, asked.left > held.count())
    if place.cap is not None and place.scored + _held(place).count() >= place.cap:
        return Claim(reason=CAP)
    if place.gold_share and _CHANCE.random() < place.gold_share:
        gold = _first(HOLD_GOLD, values | {"qualifying": False})
        if gold is not None:
            return Claim(gold)
    return Claim(_open_item(values, place))


def _qualifying(values: Values, some_left: bool) -> Claim:
    item = _first(HOLD_GOLD, values | {"qualifying": True}) if some_left else None
    return Claim(item, reason="" if item else QUALIFICATION)


def _held(place: Standing) -> QuerySet[Turn]:
    """What they hold and may still give: as MINE finds it, so that what it lets go counts as held no more."""
    held = Turn.objects.filter(rater=place.rater_id, project=place.project_id, state=Turn.State.HELD, item__deleted_at=None)
    begun = Draft.objects.filter(item=OuterRef("item"), rater=place.rater_id)
    return held.filter(Q(item__is_open=True) | Q(item__gold_score__isnull=False) | Exists(begun))


def _open_item(values: Values, place: Standing) -> int | None:
    walks = [(FIND_ON, place.cursor), (FIND_ANY, -1), (FIND_WAITING, -1)]
    if place.has_urgent:
        walks.insert(0, (FIND_URGENT, place.cursor))
    for find, cursor in walks:
        item = _claim_along(find, values | {"cursor": cursor, "place": place.cursor})
        if item is not None:
            return item
    return None


def _claim_along(find: str, values: Values) -> int | None:
    with connection.cursor() as run:
        for _ in range(ATTEMPTS):
            run.execute(find, values)
            row = run.fetchone()
            if row is None:
                return None
            item, position, priority = row
            # An urgent item lies anywhere: it moves nobody's place in the walk.
            run.execute(HOLD, values | {"item": item, "cursor": values["place"] if priority else position})
            if run.fetchone():
                return int(item)
            values = values if priority else values | {"cursor": position}
    return None


def _first(statement: str, values: Values) -> int | None:
    with connection.cursor() as run:
        run.execute(statement, values)
        row = run.fetchone()
    return int(row[0]) if row else None


def hold_again(*, item: Item, rater_id: int, until: datetime) -> bool:
    """Renew the hold on an item; False where they do not hold it."""
    mine = Turn.objects.filter(item=item, rater=rater_id)
    renewed = mine.filter(state=Turn.State.HELD).update(held_until=until)
    return bool(renewed) or mine.filter(state=Turn.State.ASSIGNED).exists()
