"""Where an item stands in the order in which items are handed out: lowest first, the same for everyone.

Import draws the position of a new item here; a change of the project's order draws those of its open items anew, by the same
formulas in SQL.
"""

from math import floor

from django.db import connection

from annotations.models import Project

# How finely answers are told apart by their confidence, and where one without stands: in the middle.
CONFIDENCE_STEPS = 1000
UNKNOWN = CONFIDENCE_STEPS // 2
# Ties are drawn from the first 11 of the hash's hexadecimal digits: 44 bits.
TIE_DIGITS, TIE_SPAN = 11, 1 << 44

RANDOM_SQL = "('x0' || substr(content_hash, 1, 15))::bit(64)::bigint"
UNCERTAIN_SQL = f"""
  coalesce(floor(abs(stated_confidence - 0.5) * {2 * CONFIDENCE_STEPS})::bigint, {UNKNOWN}) * {TIE_SPAN}
  + ('x00000' || substr(content_hash, 1, {TIE_DIGITS}))::bit(64)::bigint
"""
POSITION_SQL = {Project.Order.RANDOM.value: RANDOM_SQL, Project.Order.UNCERTAIN.value: UNCERTAIN_SQL}


def position_drawn(*, order: str, content_hash: str, stated_confidence: float | None) -> int:
    """The position of an item. `random`: drawn from the hash of its content. `uncertain`: answers whose stated confidence is
    nearest to one half first, those without in the middle, ties as drawn.
    """
    if order != Project.Order.UNCERTAIN:
        return int(content_hash[:15], 16)
    known = stated_confidence is not None
    distance = floor(abs(stated_confidence - 0.5) * (2 * CONFIDENCE_STEPS)) if known else UNKNOWN  # type: ignore[operator]
    return distance * TIE_SPAN + int(content_hash[:TIE_DIGITS], 16)


def positions_drawn(*, project: Project) -> int:
    """Give the project's open items their positions by its order, and let everybody begin at the start; returns how many."""
    with connection.cursor() as run:
        run.execute(
            f"UPDATE annotations_item SET position = {POSITION_SQL[project.order]} WHERE project_id = %s AND is_open",  # noqa: S608
            [project.pk],
        )
        moved = int(run.rowcount)
    project.progress.update(cursor=-1)
    return moved
