"""Which items and scores are in a dataset version, in the tables."""

from pathlib import Path

from django.db import connection, transaction

from annotations.models import DatasetVersion

CHUNK = 1 << 20
COPY = "COPY annotations_datasetuse (version_id, split, row, part, item_id, scores, rankings) FROM STDIN"
# Each score and ranking once, however many rows it is in; and each row once, whatever it holds of somebody's.
CONTRIBUTORS = """
WITH given AS MATERIALIZED (
  SELECT used.split, used.row, score.rater_id, score.rubric_version_id, score.item_id, score.id AS score, NULL::bigint AS ranking
  FROM annotations_datasetuse AS used CROSS JOIN unnest(used.scores) AS number
  JOIN annotations_score AS score ON score.id = number
  WHERE used.version_id = %(version)s
  UNION ALL
  SELECT used.split, used.row, ranking.rater_id, ranking.rubric_version_id, used.item_id, NULL, ranking.id
  FROM annotations_datasetuse AS used CROSS JOIN unnest(used.rankings) AS number
  JOIN annotations_ranking AS ranking ON ranking.id = number
  WHERE used.version_id = %(version)s
), contributors AS (
  INSERT INTO annotations_datasetcontributor (version_id, rater_id, rubric_version_id, scores, rankings, items, rows)
  SELECT %(version)s, rater_id, rubric_version_id, count(DISTINCT score), count(DISTINCT ranking), count(DISTINCT item_id),
    count(DISTINCT (split, row))
  FROM given GROUP BY rater_id, rubric_version_id
)
INSERT INTO annotations_datasetshare (version_id, rater_id, rubric_version_id, rows)
SELECT %(version)s, rater_id, rubric_version_id, count(*)
FROM (SELECT DISTINCT split, row, rater_id, NULL::bigint AS rubric_version_id FROM given
      UNION ALL
      SELECT DISTINCT split, row, NULL::bigint, rubric_version_id FROM given) AS held
GROUP BY rater_id, rubric_version_id
"""


def uses_publish(*, version: DatasetVersion, uses: Path) -> None:
    """Fill the tables from the file that a build left, which is then no longer needed. Call it in the transaction that publishes
    the version.
    """
    version.uses.all().delete()
    version.contributors.all().delete()
    version.shares.all().delete()
    with connection.cursor() as cursor:
        with uses.open("rb") as file, cursor.copy(COPY) as copy:
            while chunk := file.read(CHUNK):
                copy.write(chunk)
        cursor.execute(CONTRIBUTORS, {"version": version.pk})
    transaction.on_commit(lambda: uses.unlink(missing_ok=True))
