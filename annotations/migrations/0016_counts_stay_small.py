"""Counts that stay small and are cheap to keep.

What changes is written down as before; drawing it together is nobody's work who gives a score (`annotations/services/rollups.py`), and of
what is drawn together already only those weeks are taken up again in which something changed. Items that go and come back are counted a
statement at a time. A whole score is the nearest, of half a step the lower one, here as in scorecards: all are counted anew.
"""

from django.db import migrations, models

KEYS = "project_id, kind, rater_id, source_model, week, score"
COLUMNS = "item_id, rater_id, given_at, overall, withdrawn_at"
# What a score counts as; `sign` is +1 where it comes and −1 where it goes.
COUNTED = """
INSERT INTO annotations_scorecount (project_id, kind, rater_id, source_model, week, score, scores, total)
SELECT item.project_id, rater.kind, given.rater_id, item.source_model,
       date_trunc('week', given.given_at AT TIME ZONE 'UTC')::date AS week, ceil(given.overall::numeric - 0.5)::smallint AS score,
       sum(given.sign), coalesce(sum(given.sign * round(given.overall::numeric, 6)), 0)
  FROM {given} AS given
  JOIN {items} AS item ON item.id = given.item_id
  JOIN annotations_rater AS rater ON rater.id = given.rater_id
 WHERE given.withdrawn_at IS NULL AND item.deleted_at IS NULL
 GROUP BY GROUPING SETS ((1, 2, 3, 5, 6), (1, 2, 4, 5, 6))
HAVING sum(given.sign) <> 0 OR sum(given.sign * round(given.overall::numeric, 6)) <> 0
"""


def counted(*parts: tuple[str, int], items: str = "annotations_item") -> str:
    given = " UNION ALL ".join(f"SELECT {COLUMNS}, {sign} AS sign FROM {table}" for table, sign in parts)  # noqa: S608 (constants)
    return COUNTED.format(given=f"({given})", items=items)


# A plan is kept as it was made for the first statement of a connection, be it of one item or of a hundred thousand: so items are compared
# by EXCEPT, which is never a nested loop, and what follows is planned each time.
FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION annotations_scores_come() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counted(("come", 1))}; RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION annotations_scores_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counted(("gone", -1), ("come", 1))}; RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION annotations_scores_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counted(("gone", -1))}; RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION annotations_items_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE $go$ {counted(("annotations_score WHERE item_id IN (SELECT id FROM gone)", -1), items="gone")} $go$;
  RETURN NULL;
END $$;

CREATE FUNCTION annotations_items_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE moved bigint[];
BEGIN
  SELECT array_agg(id) INTO moved FROM (
    SELECT id, deleted_at IS NULL, source_model, project_id FROM gone
    EXCEPT SELECT id, deleted_at IS NULL, source_model, project_id FROM come
  ) AS changed;
  IF moved IS NULL THEN RETURN NULL; END IF;
  EXECUTE $go$ {counted(("annotations_score WHERE item_id = ANY($1)", -1), items="gone")} $go$ USING moved;
  EXECUTE $come$ {counted(("annotations_score WHERE item_id = ANY($1)", 1), items="come")} $come$ USING moved;
  RETURN NULL;
END $$;
"""  # noqa: S608 (constants)
TRIGGERS = """
DROP TRIGGER item_change ON annotations_item;
-- A statement at a time, of any column, since transition tables go with no list of columns. The scoring desk updates items all
-- the time: what it costs there is a look at one row.
CREATE TRIGGER items_change AFTER UPDATE ON annotations_item
  REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION annotations_items_change();
DROP FUNCTION annotations_item_change, annotations_scorecounts_fold_at_times, annotations_scorecounts_fold;
"""
ANEW = f"""
DELETE FROM annotations_scorecount;
{counted(("annotations_score", 1))};
"""  # noqa: S608 (constants)


class Migration(migrations.Migration):
    dependencies = [("annotations", "0015_counts_by_week")]

    operations = [
        migrations.AddField("scorecount", "is_folded", models.BooleanField(default=False, db_default=False)),
        migrations.AddIndex(
            "scorecount",
            models.Index(fields=["project", "week"], name="scorecount_changes", condition=models.Q(is_folded=False)),
        ),
        migrations.RunSQL(FUNCTIONS + TRIGGERS),
        migrations.RunSQL(ANEW, migrations.RunSQL.noop),
    ]
