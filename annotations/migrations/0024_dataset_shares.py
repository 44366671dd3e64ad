"""How many rows of a dataset version are of one rater, or under one rubric version, is counted when it is built: the ledger reads it."""

import django.db.models.deletion
from django.db import migrations, models

# Of versions that are there: counted now, and never fewer than their contributions say, which also knew what was purged since.
SHARES = """
WITH held AS MATERIALIZED (
  SELECT used.version_id, used.split, used.row, score.rater_id, score.rubric_version_id
  FROM annotations_datasetuse AS used CROSS JOIN unnest(used.scores) AS number
  JOIN annotations_score AS score ON score.id = number
  UNION ALL
  SELECT used.version_id, used.split, used.row, ranking.rater_id, ranking.rubric_version_id
  FROM annotations_datasetuse AS used CROSS JOIN unnest(used.rankings) AS number
  JOIN annotations_ranking AS ranking ON ranking.id = number
), told AS (
  SELECT version_id, rater_id, NULL::bigint AS rubric_version_id, count(*) AS rows
  FROM (SELECT DISTINCT version_id, split, row, rater_id FROM held) AS each GROUP BY version_id, rater_id
  UNION ALL
  SELECT version_id, NULL, rubric_version_id, count(*)
  FROM (SELECT DISTINCT version_id, split, row, rubric_version_id FROM held) AS each GROUP BY version_id, rubric_version_id
  UNION ALL
  SELECT version_id, rater_id, NULL, rows FROM annotations_datasetcontributor
  UNION ALL
  SELECT version_id, NULL, rubric_version_id, rows FROM annotations_datasetcontributor
)
INSERT INTO annotations_datasetshare (version_id, rater_id, rubric_version_id, rows)
SELECT version_id, rater_id, rubric_version_id, max(rows) FROM told GROUP BY version_id, rater_id, rubric_version_id
"""


def _about(to: str) -> models.ForeignKey:
    return models.ForeignKey(
        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="shares", to=f"annotations.{to}"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("annotations", "0023_teacher_run_totals"),
    ]

    operations = [
        migrations.CreateModel(
            name="DatasetShare",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rows", models.PositiveIntegerField()),
                ("rater", _about("rater")),
                ("rubric_version", _about("rubricversion")),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="shares", to="annotations.datasetversion"
                    ),
                ),
            ],
            options={
                "ordering": ("version", "-rows"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(rater=None, rubric_version__isnull=False)
                        | models.Q(rater__isnull=False, rubric_version=None),
                        name="share_of_one_thing",
                    ),
                    models.UniqueConstraint(
                        fields=("version", "rater", "rubric_version"), name="share_once", nulls_distinct=False
                    ),
                ],
            },
        ),
        migrations.RunSQL(SHARES, migrations.RunSQL.noop),
    ]
