"""The counts of scores: drawn together, held against a full recount, and made anew. Keeping them is the database's triggers' work
(migration 0020); the reconciler does the first two now and then (`settings.CHORES`).
"""

from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction

from accounts import audit
from accounts.models import User
from annotations.models import ScoreCount
from jobs.alerting.rules import COUNTS_DIFFER, Finding
from jobs.alerting.services import alert_open, alerts_close
from jobs.models import Alert

KEYS = "project_id, kind, rater_id, source_model, week, score, is_revoked"
# As migration 0020 counts, of all scores at once.
RECOUNT = """
SELECT item.project_id, rater.kind, given.rater_id, item.source_model,
       date_trunc('week', given.given_at AT TIME ZONE 'UTC')::date AS week, ceil(given.overall::numeric - 0.5)::smallint AS score,
       (given.rater_id IN (SELECT rater_id FROM annotations_revocation WHERE lifted_at IS NULL AND rater_id IS NOT NULL)
        OR given.rubric_version_id IN (
          SELECT rubric_version_id FROM annotations_revocation WHERE lifted_at IS NULL AND rubric_version_id IS NOT NULL
        )) AS is_revoked,
       count(*) AS scores, coalesce(sum(round(given.overall::numeric, 6)), 0) AS total
  FROM annotations_score AS given
  JOIN annotations_item AS item ON item.id = given.item_id
  JOIN annotations_rater AS rater ON rater.id = given.rater_id
 WHERE given.withdrawn_at IS NULL AND item.deleted_at IS NULL
 GROUP BY GROUPING SETS ((1, 2, 3, 5, 6, 7), (1, 2, 4, 5, 6, 7))
"""
# In one statement, so that what is thrown away and what is counted are of the same moment, whoever writes meanwhile.
REBUILD = f"""
WITH gone AS (DELETE FROM annotations_scorecount)
INSERT INTO annotations_scorecount ({KEYS}, scores, total, is_folded) SELECT *, true FROM ({RECOUNT}) AS counted
"""  # noqa: S608 (constants)
# Of the weeks in which something has changed, and of no others.
FOLD = f"""
WITH weeks AS MATERIALIZED (SELECT DISTINCT project_id, week FROM annotations_scorecount WHERE NOT is_folded),
gone AS (
  DELETE FROM annotations_scorecount AS one USING weeks WHERE one.project_id = weeks.project_id AND one.week = weeks.week
  RETURNING one.*
)
INSERT INTO annotations_scorecount ({KEYS}, scores, total, is_folded)
SELECT {KEYS}, sum(scores), sum(total), true FROM gone GROUP BY {KEYS} HAVING sum(scores) <> 0 OR sum(total) <> 0
"""  # noqa: S608 (constants)
COMPARE = f"""
WITH kept AS (
  SELECT {KEYS}, sum(scores) AS scores, sum(total) AS total FROM annotations_scorecount GROUP BY {KEYS}
  HAVING sum(scores) <> 0 OR sum(total) <> 0
), counted AS ({RECOUNT}),
apart AS ((SELECT * FROM kept EXCEPT SELECT * FROM counted) UNION (SELECT * FROM counted EXCEPT SELECT * FROM kept))
SELECT DISTINCT {KEYS} FROM apart ORDER BY {KEYS}
"""  # noqa: S608 (constants)
LOCK = "SELECT pg_advisory_xact_lock(hashtext('annotations_scorecount'))"
# So many changes slow no page down.
CHANGES_LEFT = 1000
SUBJECT = "counts of scores"
HINT = "`rlwhf score-counts` tells which; `rlwhf score-counts --rebuild` counts all scores anew, while they are given."


@dataclass(frozen=True)
class CountKey:
    """What scores are counted by; `rater` or `source_model` is None, as each score is counted once by either."""

    project: int
    kind: str
    rater: int | None
    source_model: str | None
    week: date
    score: int | None
    is_revoked: bool


@dataclass(frozen=True)
class Rebuilt:
    rows: int
    scores: int


@transaction.atomic
def score_counts_rebuild(*, actor: User | None) -> Rebuilt:
    """Count all scores anew. Scores may be given meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(REBUILD)
        rows = cursor.rowcount
        cursor.execute("SELECT coalesce(sum(scores), 0) FROM annotations_scorecount WHERE rater_id IS NOT NULL")
        rebuilt = Rebuilt(rows, int(cursor.fetchone()[0]))
    _alerts_over("All scores were counted anew.")
    audit.record(actor=actor, action="annotations.score_counts_rebuilt", target=None, detail={"scores": rebuilt.scores})
    return rebuilt


@transaction.atomic
def score_counts_fold() -> int:
    """Draw rows of the same kind together, in the weeks in which something has changed. Returns how many sums that makes."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(FOLD)
        return int(cursor.rowcount)


def score_counts_tend() -> int:
    """Fold where so much has changed that pages would read more changes than sums; the reconciler's chore."""
    changes = ScoreCount.objects.filter(is_folded=False)[: CHANGES_LEFT + 1].count()
    return score_counts_fold() if changes > CHANGES_LEFT else 0


def score_counts_differing() -> list[CountKey]:
    """Where the counts are not what a full recount comes to: nowhere, unless somebody switched the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute(COMPARE)
        return [CountKey(*row) for row in cursor.fetchall()]


def score_counts_check() -> int:
    """Hold the counts against a full recount, and raise an alert where they differ; the reconciler's chore. Returns how many
    differ.
    """
    differing = score_counts_differing()
    if not differing:
        _alerts_over("They are those of a full recount again.")
        return 0
    message = f"{len(differing):,} counts of scores are not what a full recount comes to; the first: {differing[0]}."
    alert_open(subject=SUBJECT, finding=Finding(COUNTS_DIFFER, message, HINT, {"differing": len(differing)}))
    return len(differing)


def _alerts_over(because: str) -> None:
    alerts_close(list(Alert.objects.filter(rule=COUNTS_DIFFER, closed_at=None)), because=because)
