"""What each bulk action does to a batch of items, and how that is undone.

`made` changes what it can of the items and says which it changed, what they were before, and why others were left as they
were. `undone` takes back what it changed of the items that it is given, where that still stands; it returns how many.
Both are called in a transaction. Order of locks, here as everywhere: project, items, counts of people, counts of the project.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_lazy

from annotations.models import Turn
from annotations.services.deletion import items_deleted, items_restored

Values = dict[str, Any]
Rows = list[Any]


@dataclass(frozen=True)
class Work:
    """Some items, and what is asked for them."""

    items: list[int]
    settings: Values
    # How many items the action has changed before.
    offset: int = 0


@dataclass(frozen=True)
class Made:
    """What became of a batch."""

    items: list[int]
    before: Rows = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """One kind of bulk action."""

    # The role that it asks for.
    role: str
    made: Callable[[Work], Made]
    undone: Callable[[Work, Rows], int]
    # Actions of one field undo no more than what none of the others has changed since.
    field: str


def _run(statement: str, values: Values) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _grouped(rows: Rows) -> Rows:
    """[was, [items]] for each value, from rows of item and value: most of a batch have the same."""
    groups: dict[Any, list[int]] = {}
    for item, was in rows:
        groups.setdefault(tuple(was) if isinstance(was, list) else was, []).append(item)
    return [[list(was) if isinstance(was, tuple) else was, items] for was, items in groups.items()]


def _among(work: Work, group: list[int]) -> list[int]:
    kept = set(work.items)
    return [item for item in group if item in kept]


def _left(work: Work, changed: Rows, why: str) -> dict[str, int]:
    return {why: len(work.items) - len(changed)} if len(work.items) > len(changed) else {}


# The items of a batch as they are now, locked in order.
LOCKED = """
WITH locked AS MATERIALIZED (
  SELECT id, {column} AS was FROM annotations_item
  WHERE id = ANY(%(items)s) AND deleted_at IS NULL AND {wanted} ORDER BY id FOR NO KEY UPDATE
)
"""

TAG = """{locked}, changed AS (
  UPDATE annotations_item AS item
  SET tags = item.tags || ARRAY(SELECT tag FROM unnest(%(tags)s::varchar[]) AS tag WHERE tag <> ALL(was))
  FROM locked WHERE item.id = locked.id
)
SELECT id, ARRAY(SELECT tag FROM unnest(%(tags)s::varchar[]) AS tag WHERE tag <> ALL(was)) FROM locked ORDER BY id
"""
FREE = "NOT tags @> %(tags)s::varchar[] AND cardinality(tags) + cardinality(%(tags)s::varchar[]) <= %(most)s"
TAG = TAG.format(locked=LOCKED.format(column="tags", wanted=FREE))
UNTAG = """{locked}, changed AS (
  UPDATE annotations_item AS item
  SET tags = ARRAY(SELECT tag FROM unnest(item.tags) AS tag WHERE tag <> ALL(%(tags)s::varchar[]))
  FROM locked WHERE item.id = locked.id
)
SELECT id, ARRAY(SELECT tag FROM unnest(was) AS tag WHERE tag = ANY(%(tags)s::varchar[])) FROM locked ORDER BY id
"""
UNTAG = UNTAG.format(locked=LOCKED.format(column="tags", wanted="tags && %(tags)s::varchar[]"))
# An item with more tags than this is sorted by none of them.
MOST_TAGS = 30


def _tags_put(items: list[int], tags: list[str], most: int = MOST_TAGS) -> Rows:
    return _run(TAG, {"items": items, "tags": tags, "most": most})


def _tags_taken(items: list[int], tags: list[str]) -> Rows:
    return _run(UNTAG, {"items": items, "tags": tags})


def _tag(work: Work) -> Made:
    rows = _tags_put(work.items, work.settings["tags"])
    return Made([item for item, _ in rows], _grouped(rows), _left(work, rows, "tagged"))


def _untag(work: Work) -> Made:
    rows = _tags_taken(work.items, work.settings["tags"])
    return Made([item for item, _ in rows], _grouped(rows), _left(work, rows, "untagged"))


def _tag_undone(work: Work, before: Rows) -> int:
    return sum(len(_tags_taken(_among(work, group), added)) for added, group in before)


def _untag_undone(work: Work, before: Rows) -> int:
    return sum(len(_tags_put(_among(work, group), gone, MOST_TAGS + len(gone))) for gone, group in before)


SET = """{locked}, changed AS (
  UPDATE annotations_item AS item SET {column} = %(value)s FROM locked WHERE item.id = locked.id
)
SELECT id, was FROM locked ORDER BY id
"""


def _setter(column: str) -> Callable[[Work], Made]:
    statement = SET.format(column=column, locked=LOCKED.format(column=column, wanted=f"{column} <> %(value)s"))

    def made(work: Work) -> Made:
        rows = _run(statement, {"items": work.items, "value": work.settings["value"]})
        return Made([item for item, _ in rows], _grouped(rows), _left(work, rows, "same"))

    return made


def _unsetter(column: str) -> Callable[[Work, Rows], int]:
    statement = SET.format(column=column, locked=LOCKED.format(column=column, wanted=f"{column} = %(now)s"))

    def undone(work: Work, before: Rows) -> int:
        now = work.settings["value"]
        return sum(len(_run(statement, {"items": _among(work, group), "value": was, "now": now})) for was, group in before)

    return undone


OPEN = """
SELECT id, project_id FROM annotations_item
WHERE id = ANY(%(items)s) AND deleted_at IS NULL AND is_open ORDER BY id FOR NO KEY UPDATE
"""
HAD = "SELECT item_id, rater_id FROM annotations_turn WHERE item_id = ANY(%(items)s) AND rater_id = ANY(%(raters)s)"
ASSIGN = """
INSERT INTO annotations_turn (item_id, rater_id, project_id, state, held_until, updated_at)
SELECT item_id, rater_id, project_id, 'assigned', %(now)s + make_interval(days => project.assignment_days), %(now)s
FROM unnest(%(items)s::bigint[], %(raters)s::bigint[]) AS wanted (item_id, rater_id)
JOIN annotations_item AS item ON item.id = wanted.item_id JOIN annotations_project AS project ON project.id = item.project_id
ON CONFLICT (item_id, rater_id) DO NOTHING
RETURNING id, item_id, rater_id
"""


def _assign(work: Work) -> Made:
    """To each person in turn, or to all of them; never to somebody who has had a turn at the item."""
    raters: list[int] = work.settings["raters"]
    opened = [item for item, _ in _run(OPEN, {"items": work.items})]
    had = set(_run(HAD, {"items": opened, "raters": raters}))
    if work.settings["how"] == "all":
        pairs = [(item, rater) for item in opened for rater in raters if (item, rater) not in had]
    else:
        pairs = _in_turn(opened, raters, had, work.offset)
    values = {"items": [item for item, _ in pairs], "raters": [rater for _, rater in pairs], "now": timezone.now()}
    rows = _run(ASSIGN, values) if pairs else []
    changed = sorted({item for _, item, _ in rows})
    left_out = {"closed": len(work.items) - len(opened), "had-turn": len(opened) - len(changed)}
    return Made(changed, [[turn, item] for turn, item, _ in rows], {why: many for why, many in left_out.items() if many})


def _in_turn(items: list[int], raters: list[int], had: set[tuple[int, int]], offset: int) -> list[tuple[int, int]]:
    """Each item goes to whoever got fewest of these so far, of those who have not had a turn at it."""
    start = offset % len(raters)
    given = dict.fromkeys([*raters[start:], *raters[:start]], 0)
    pairs = []
    for item in items:
        free = [rater for rater in given if (item, rater) not in had]
        if free:
            rater = min(free, key=given.__getitem__)
            given[rater] += 1
            pairs.append((item, rater))
    return pairs


# Only what nobody has begun: where they have written something, it stays theirs.
UNASSIGN = """
DELETE FROM annotations_turn AS turn WHERE turn.state = 'assigned' AND {which}
RETURNING turn.item_id, turn.rater_id, turn.project_id, turn.held_until
"""
BEGUN = "NOT EXISTS (SELECT FROM annotations_draft WHERE item_id = turn.item_id AND rater_id = turn.rater_id)"
UNASSIGN_TURNS = UNASSIGN.format(which=f"turn.id = ANY(%(turns)s) AND {BEGUN}")
UNASSIGN_ITEMS = UNASSIGN.format(
    which="turn.item_id = ANY(%(items)s) AND (%(raters)s::bigint[] IS NULL OR turn.rater_id = ANY(%(raters)s))"
)
ASSIGN_AGAIN = """
INSERT INTO annotations_turn (item_id, rater_id, project_id, state, held_until, updated_at)
SELECT item.id, wanted.rater_id, item.project_id, wanted.state, wanted.until, %(now)s
FROM unnest(%(items)s::bigint[], %(raters)s::bigint[], %(states)s::varchar[], %(untils)s::timestamptz[])
  AS wanted (item_id, rater_id, state, until)
JOIN annotations_item AS item ON item.id = wanted.item_id
WHERE item.deleted_at IS NULL AND wanted.until > %(now)s
ON CONFLICT (item_id, rater_id) DO NOTHING
RETURNING item_id
"""


def _assign_undone(work: Work, before: Rows) -> int:
    kept = set(work.items)
    return len({row[0] for row in _run(UNASSIGN_TURNS, {"turns": [turn for turn, item in before if item in kept]})})


def _unassign(work: Work) -> Made:
    rows = _run(UNASSIGN_ITEMS, {"items": work.items, "raters": work.settings.get("raters")})
    changed = sorted({item for item, *_ in rows})
    before = [[item, rater, until.isoformat()] for item, rater, _, until in rows]
    return Made(changed, before, _left(work, changed, "unassigned"))


def _unassign_undone(work: Work, before: Rows) -> int:
    kept = set(work.items)
    return turns_again([(item, rater, Turn.State.ASSIGNED.value, until) for item, rater, until in before if item in kept])


def turns_again(turns: Rows) -> int:
    """Put back turns that were taken away, those that have not run out; returns for how many items."""
    if not turns:
        return 0
    items, raters, states, untils = (list(column) for column in zip(*turns, strict=True))
    values = {"items": items, "raters": raters, "states": states, "untils": untils, "now": timezone.now()}
    return len({item for (item,) in _run(ASSIGN_AGAIN, values)})


def _delete(work: Work) -> Made:
    done = items_deleted(items=work.items)
    return Made(done.items, [[done.stamp.isoformat(), done.turns]], _left(work, done.items, "deleted"))


def _delete_undone(work: Work, before: Rows) -> int:
    back = 0
    for stamp, turns in before:
        restored = set(items_restored(items=work.items, deleted_at=stamp).items)
        turns_again([turn for turn in turns if turn[0] in restored])
        back += len(restored)
    return back


def _restore(work: Work) -> Made:
    done = items_restored(items=work.items)
    return Made(done.items, _grouped(done.stamps), _left(work, done.items, "not-deleted"))


def _restore_undone(work: Work, before: Rows) -> int:
    return sum(len(items_deleted(items=_among(work, group), stamp=stamp).items) for stamp, group in before)


# Why an item was left as it was.
LEFT_OUT = {
    "tagged": gettext_lazy("had it already, or has as many tags as an item may have"),
    "untagged": gettext_lazy("did not have it"),
    "same": gettext_lazy("had it already"),
    "closed": gettext_lazy("wait for no score"),
    "had-turn": gettext_lazy("everybody has had a turn at them"),
    "unassigned": gettext_lazy("were not assigned"),
    "deleted": gettext_lazy("were deleted already"),
    "not-deleted": gettext_lazy("were not deleted"),
}
KINDS = {
    "tag": Kind("member", _tag, _tag_undone, "tags"),
    "untag": Kind("member", _untag, _untag_undone, "tags"),
    "skill": Kind("admin", _setter("skill"), _unsetter("skill"), "skill"),
    "priority": Kind("admin", _setter("priority"), _unsetter("priority"), "priority"),
    "assign": Kind("admin", _assign, _assign_undone, "turns"),
    "unassign": Kind("admin", _unassign, _unassign_undone, "turns"),
    "delete": Kind("admin", _delete, _delete_undone, "deletion"),
    "restore": Kind("admin", _restore, _restore_undone, "deletion"),
}
