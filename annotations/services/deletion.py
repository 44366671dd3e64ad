"""Items that go and come back. A deleted item keeps all it has; it is not handed out, not counted and in no dataset, and an
import does not bring it back. Whoever has it in front of them is told so when they submit; what they wrote stays their draft.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts import audit
from accounts.models import User
from annotations.models import Item, Project
from annotations.services import comparing
from annotations.services.alone import alone
from annotations.services.opening import completed_add

PURGED_TOGETHER = 1000


@dataclass(frozen=True)
class Deleted:
    """The items that were deleted now, at which moment, and the turns that they were held or assigned for."""

    items: list[int]
    stamp: datetime
    turns: list[list[Any]]


@dataclass(frozen=True)
class Restored:
    """The items that came back, and since when each had been deleted."""

    items: list[int]
    stamps: list[list[Any]] = field(default_factory=list)


DELETE = """
WITH locked AS MATERIALIZED (
  SELECT id, project_id, is_open, gold_score FROM annotations_item
  WHERE id = ANY(%(items)s) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE
), changed AS (
  UPDATE annotations_item AS item SET deleted_at = %(stamp)s, is_open = false FROM locked WHERE item.id = locked.id
)
SELECT id, project_id, is_open, gold_score IS NOT NULL FROM locked ORDER BY id
"""
LET_GO = """
DELETE FROM annotations_turn WHERE item_id = ANY(%(items)s) AND state IN ('held', 'assigned')
RETURNING item_id, rater_id, state, held_until
"""
# Items that compare are opened by their prompt, afterwards.
RESTORE = """
WITH locked AS MATERIALIZED (
  SELECT id, project_id, deleted_at FROM annotations_item
  WHERE id = ANY(%(items)s) AND deleted_at IS NOT NULL AND (%(stamp)s::timestamptz IS NULL OR deleted_at = %(stamp)s)
  ORDER BY id FOR NO KEY UPDATE
), changed AS (
  UPDATE annotations_item AS item SET deleted_at = NULL,
    is_open = project.mode <> 'compare' AND project.raters_per_item > 0 AND item.gold_score IS NULL
      AND item.people_scores < project.raters_per_item + item.extra_raters
  FROM locked JOIN annotations_project AS project ON project.id = locked.project_id WHERE item.id = locked.id
  RETURNING item.id, item.is_open, item.gold_score
)
SELECT locked.id, locked.project_id, changed.is_open, changed.gold_score IS NOT NULL, locked.deleted_at
FROM locked JOIN changed ON changed.id = locked.id ORDER BY locked.id
"""


def items_deleted(*, items: list[int], stamp: datetime | str | None = None) -> Deleted:
    """Delete these items, where they are not deleted already. Call it in a transaction."""
    at = _moment(stamp) or timezone.now()
    projects = _projects_held(items)
    with connection.cursor() as cursor:
        cursor.execute(DELETE, {"items": items, "stamp": at})
        rows = cursor.fetchall()
        cursor.execute(LET_GO, {"items": [row[0] for row in rows]})
        turns = [[item, rater, state, until.isoformat()] for item, rater, state, until in cursor.fetchall() if until]
    _counted(projects, rows, -1)
    return Deleted([row[0] for row in rows], at, turns)


def items_restored(*, items: list[int], deleted_at: datetime | str | None = None) -> Restored:
    """Bring these items back; with `deleted_at` those alone that were deleted at that moment. Call it in a transaction."""
    projects = _projects_held(items)
    with connection.cursor() as cursor:
        cursor.execute(RESTORE, {"items": items, "stamp": _moment(deleted_at)})
        rows = cursor.fetchall()
    _counted(projects, [row[:4] for row in rows], +1)
    return Restored([row[0] for row in rows], [[row[0], row[4].isoformat()] for row in rows])


def _moment(stamp: datetime | str | None) -> datetime | None:
    return parse_datetime(stamp) if isinstance(stamp, str) else stamp


PROJECTS = "SELECT DISTINCT project_id FROM annotations_item WHERE id = ANY(%(items)s) ORDER BY project_id"
# The row of a project that compares is taken too: which item of a prompt is open changes with its items.
HOLD_PROJECTS = """
SELECT id, mode FROM annotations_project
WHERE id IN (SELECT DISTINCT project_id FROM annotations_item WHERE id = ANY(%(items)s)) AND mode {which} 'compare'
ORDER BY id {lock}
"""


def _projects_held(items: list[int]) -> dict[int, Project]:
    with connection.cursor() as cursor:
        cursor.execute(PROJECTS, {"items": items})
        for (project,) in cursor.fetchall():
            alone(project)
        cursor.execute(HOLD_PROJECTS.format(which="=", lock="FOR UPDATE"), {"items": items})
        held = [row[0] for row in cursor.fetchall()]
        cursor.execute(HOLD_PROJECTS.format(which="<>", lock="FOR KEY SHARE"), {"items": items})
        held += [row[0] for row in cursor.fetchall()]
    return Project.objects.in_bulk(held)


def _counted(projects: dict[int, Project], rows: list[tuple[Any, ...]], sign: int) -> None:
    """Book items that go (−1) or come back (+1): rows of item, project, whether it is open, whether it is gold."""
    for project in sorted(projects.values(), key=lambda one: one.pk):
        mine = [(is_open, is_gold) for _, of_project, is_open, is_gold in rows if of_project == project.pk]
        if not mine:
            continue
        if project.mode == Project.Mode.COMPARE:
            comparing.comparisons_open(project=project)
        elif project.raters_per_item:
            completed_add(project=project, change=sign * sum(not is_open and not is_gold for is_open, is_gold in mine))
        golds = sum(is_gold for _, is_gold in mine)
        Project.objects.filter(pk=project.pk).update(
            item_count=F("item_count") + sign * len(mine), gold_count=F("gold_count") + sign * golds
        )


@dataclass
class Purged:
    """What was removed for good, and what had to stay."""

    items: int = 0
    # Others that are still there revise them.
    revised: int = 0


# In the order in which rows point to each other; scores and rankings point to those that they replaced.
PURGE = (
    # What it was in a dataset version stays in that version's files.
    "DELETE FROM annotations_datasetuse WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_draft WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_flag WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_turn WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_teachercall WHERE item_id = ANY(%(items)s) OR other_id = ANY(%(items)s)",
    "DELETE FROM annotations_chainresult "
    "WHERE source_id = ANY(%(items)s) OR parent_id = ANY(%(items)s) OR item_id = ANY(%(items)s)",
    "DELETE FROM annotations_undo WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_argillaconflict WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_argillaresponse AS response USING annotations_argillarecord AS record "
    "WHERE response.record_id = record.id AND record.item_id = ANY(%(items)s)",
    "DELETE FROM annotations_argillarecord WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_ranking WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_score WHERE item_id = ANY(%(items)s)",
    "DELETE FROM annotations_item WHERE id = ANY(%(items)s)",
)
PURGED = """
SELECT id FROM annotations_item AS item
WHERE deleted_at < %(before)s AND id > %(after)s
  AND NOT EXISTS (SELECT FROM annotations_item AS later WHERE later.revises_id = item.id)
ORDER BY id LIMIT %(most)s FOR UPDATE
"""


def items_purge(*, older_than: timedelta, actor: User | None) -> Purged:
    """Remove for good what was deleted longer ago than that, with its scores. The counts have been without it since."""
    before, purged = timezone.now() - older_than, Purged()
    # A revision goes before what it revises: as long as something went, look again from the start.
    while removed := _purge_round(before):
        purged.items += removed
    purged.revised = Item.every.filter(deleted_at__lt=before).count()
    if purged.items:
        audit.record(actor=actor, action="annotations.items_purged", detail=vars(purged))
    return purged


def _purge_round(before: datetime) -> int:
    removed = after = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PURGED, {"before": before, "after": after, "most": PURGED_TOGETHER})
            items = [pk for (pk,) in cursor.fetchall()]
            if not items:
                return removed
            for statement in PURGE:
                cursor.execute(statement, {"items": items})
        removed, after = removed + len(items), items[-1]
