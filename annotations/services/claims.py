"""Which item a person gets. The one place with hand-written SQL: it has to lock, count and skip in one statement."""

from collections.abc import Collection
from datetime import datetime

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from annotations.models import Draft, Progress, Project, Rater, Turn

# A change of the project's settings waits for whoever scores in it, and the other way round; scorers do not wait for each
# other. To be taken before any item of the project is locked: changing the settings locks project and items in that order.
SHARE = "SELECT raters_per_item FROM annotations_project WHERE id = %s FOR KEY SHARE"

# A candidate lost to somebody else in the instant between finding and holding it; more than a few in a row do not happen.
ATTEMPTS = 20
Values = dict[str, int | datetime]

# Open items are walked in order of position, from where this person is. Items that enough others hold are passed over,
# and so are rows that somebody is claiming or scoring this instant.
FIND = """
SELECT item.id, item.position
FROM annotations_item AS item
WHERE item.project_id = %(project)s AND item.is_open AND item.position > %(cursor)s
  AND NOT EXISTS (SELECT FROM annotations_turn AS mine WHERE mine.item_id = item.id AND mine.rater_id = %(rater)s)
  AND item.people_scores + (
    SELECT count(*) FROM annotations_turn AS other
    WHERE other.item_id = item.id AND other.state = 'held' AND other.held_until > %(now)s) < %(needed)s
ORDER BY item.position
LIMIT 1
FOR NO KEY UPDATE OF item SKIP LOCKED
"""
# The last resort: a row that was passed over because somebody is scoring it may still need another score.
FIND_WAITING = FIND.replace(" SKIP LOCKED", "")

# The count is taken again, now that the row is locked: a hold may have been committed while FIND was under way.
HOLD = """
INSERT INTO annotations_turn (item_id, rater_id, project_id, state, held_until, updated_at)
SELECT item.id, %(rater)s, item.project_id, 'held', %(until)s, %(now)s
FROM annotations_item AS item
WHERE item.id = %(item)s AND item.is_open
  AND item.people_scores + (
    SELECT count(*) FROM annotations_turn AS other
    WHERE other.item_id = item.id AND other.state = 'held' AND other.held_until > %(now)s) < %(needed)s
ON CONFLICT (item_id, rater_id) DO NOTHING
RETURNING item_id
"""


def raters_needed(*, project_id: int) -> int:
    """How many people score each item; it stays so until this transaction ends. 0 for a project that is gone."""
    with connection.cursor() as run:
        run.execute(SHARE, [project_id])
        row = run.fetchone()
    return int(row[0]) if row else 0


def held_item(*, project: Project, rater: Rater, besides: Collection[int]) -> int | None:
    """An item that this person holds: first one with a draft, then the one held longest. One that was closed by others
    in the meantime is let go, unless they have begun to write about it.
    """
    drafted = Exists(Draft.objects.filter(item=OuterRef("item"), rater=rater))
    mine = Turn.objects.filter(rater=rater, project=project, state=Turn.State.HELD).exclude(item__in=list(besides))
    wanted = mine.annotate(drafted=drafted).filter(Q(item__is_open=True) | Q(drafted=True))
    return wanted.order_by("-drafted", "id").values_list("item_id", flat=True).first()


def claim_item(*, project: Project, rater: Rater, needed: int, until: datetime) -> int | None:
    """Hold the next open item for a person; None where there is none for them. Call it in a transaction."""
    progress, _ = Progress.objects.get_or_create(project=project, rater=rater)
    values: Values = {
        "project": project.pk, "rater": rater.pk, "needed": needed, "now": timezone.now(), "until": until,
    }  # fmt: skip
    for find, cursor in ((FIND, progress.cursor), (FIND, -1), (FIND_WAITING, -1)):
        found = _claim_after(find, values | {"cursor": cursor})
        if found is not None:
            item, position = found
            Progress.objects.filter(pk=progress.pk).update(cursor=position)
            return item
    return None


def _claim_after(find: str, values: Values) -> tuple[int, int] | None:
    with connection.cursor() as run:
        for _ in range(ATTEMPTS):
            run.execute(find, values)
            row = run.fetchone()
            if row is None:
                return None
            item, position = int(row[0]), int(row[1])
            values = values | {"cursor": position}
            run.execute(HOLD, values | {"item": item})
            if run.fetchone():
                return item, position
    return None
