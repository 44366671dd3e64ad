"""Which items are open, and the running counts that hang on it, where more than one item changes at once."""

from django.db import connection
from django.db.models import F

from annotations.models import Project
from annotations.services.positions import POSITION_SQL

# An item has its scores when as many people as the project asks for, and as the item wants besides, have given one.
CLOSED = "people_scores >= %(needed)s + extra_raters"
ORDINARY = "project_id = %(project)s AND deleted_at IS NULL AND gold_score IS NULL"
CLOSE = "UPDATE annotations_item SET is_open = false WHERE project_id = %(project)s AND is_open AND ({closed})"
# What opens again takes its place in the order as it now is.
OPEN = "UPDATE annotations_item SET is_open = true, position = {position} WHERE {ordinary} AND NOT is_open AND NOT ({closed})"
COUNT = "SELECT count(*) FROM annotations_item WHERE {ordinary} AND NOT is_open"


def items_reopened(*, project: Project) -> None:
    """Set every item's `is_open` by what the project asks for now, and count anew how many are done.

    The caller holds the project's row against whoever scores.
    """
    closed = CLOSED if project.raters_per_item else "true"
    values = {"project": project.pk, "needed": project.raters_per_item}
    with connection.cursor() as run:
        run.execute(CLOSE.format(closed=closed), values)
        run.execute(OPEN.format(position=POSITION_SQL[project.order], ordinary=ORDINARY, closed=closed), values)
        run.execute(COUNT.format(ordinary=ORDINARY), values)
        done = run.fetchone()[0] if project.raters_per_item else 0
    completed_add(project=project, change=done - sum(project.progress.values_list("completed", flat=True)))


def completed_add(*, project: Project, change: int) -> None:
    """Correct the number of items that are done. The sum over raters is what counts; one row carries the correction: a
    person's, since an import holds those of teachers while it has the project.
    """
    if not change:
        return
    first = project.progress.filter(rater__kind="person").order_by("pk").first()
    if first is not None:
        project.progress.filter(pk=first.pk).update(completed=F("completed") + change)
