"""Revoked scores are counted apart: pages leave them out, or name them, without reading a score.

A score's count says whether it is revoked, and a revocation that comes, is lifted or goes moves the counts of what it is about. Whoever writes
scores holds a lock together, and a revocation holds it alone: else a score that is written at that moment would be counted on one side
by itself and on the other by the revocation. A revocation waits for nothing else while it holds it, so no order of locks can end in a deadlock.
"""

from django.db import migrations, models

COLUMNS = "item_id, rater_id, rubric_version_id, given_at, overall, withdrawn_at"
STANDING = "FROM annotations_revocation AS one WHERE one.lifted_at IS NULL"
IS_REVOKED = (
    f"(given.rater_id IN (SELECT one.rater_id {STANDING} AND one.rater_id IS NOT NULL)"
    f" OR given.rubric_version_id IN (SELECT one.rubric_version_id {STANDING} AND one.rubric_version_id IS NOT NULL))"
)
# What a score counts as; `sign` is +1 where it comes and −1 where it goes.
COUNTED = """
INSERT INTO annotations_scorecount (project_id, kind, rater_id, source_model, week, score, is_revoked, scores, total)
SELECT item.project_id, rater.kind, given.rater_id, item.source_model,
       date_trunc('week', given.given_at AT TIME ZONE 'UTC')::date AS week, ceil(given.overall::numeric - 0.5)::smallint AS score,
       {revoked} AS is_revoked, sum(given.sign), coalesce(sum(given.sign * round(given.overall::numeric, 6)), 0)
  FROM {given} AS given
  JOIN {items} AS item ON item.id = given.item_id
  JOIN annotations_rater AS rater ON rater.id = given.rater_id
 WHERE given.withdrawn_at IS NULL AND item.deleted_at IS NULL
 GROUP BY GROUPING SETS ((1, 2, 3, 5, 6, 7), (1, 2, 4, 5, 6, 7))
HAVING sum(given.sign) <> 0 OR sum(given.sign * round(given.overall::numeric, 6)) <> 0
"""


def counted(*parts: tuple[str, int], items: str = "annotations_item") -> str:
    given = " UNION ALL ".join(f"SELECT {COLUMNS}, {sign} AS sign FROM {table}" for table, sign in parts)  # noqa: S608 (constants)
    return COUNTED.format(given=f"({given})", items=items, revoked=IS_REVOKED)


TOGETHER = "PERFORM pg_advisory_xact_lock_shared(hashtext('annotations_revocation'));"
FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION annotations_scores_come() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {TOGETHER} {counted(("come", 1))}; RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION annotations_scores_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {TOGETHER} {counted(("gone", -1), ("come", 1))}; RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION annotations_scores_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {TOGETHER} {counted(("gone", -1))}; RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION annotations_items_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  {TOGETHER}
  EXECUTE $go$ {counted(("annotations_score WHERE item_id IN (SELECT id FROM gone)", -1), items="gone")} $go$;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION annotations_items_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE moved bigint[];
BEGIN
  SELECT array_agg(id) INTO moved FROM (
    SELECT id, deleted_at IS NULL, source_model, project_id FROM gone
    EXCEPT SELECT id, deleted_at IS NULL, source_model, project_id FROM come
  ) AS changed;
  IF moved IS NULL THEN RETURN NULL; END IF;
  {TOGETHER}
  EXECUTE $go$ {counted(("annotations_score WHERE item_id = ANY($1)", -1), items="gone")} $go$ USING moved;
  EXECUTE $come$ {counted(("annotations_score WHERE item_id = ANY($1)", 1), items="come")} $come$ USING moved;
  RETURN NULL;
END $$;
"""  # noqa: S608 (constants)
# What the revocation is about, but for what another one revokes as well: from one side to the other.
ABOUT = """annotations_score WHERE {column} = $1 AND NOT (
  rater_id IN (SELECT one.rater_id FROM annotations_revocation AS one
    WHERE one.lifted_at IS NULL AND one.id <> $2 AND one.rater_id IS NOT NULL)
  OR rubric_version_id IN (SELECT one.rubric_version_id FROM annotations_revocation AS one
    WHERE one.lifted_at IS NULL AND one.id <> $2 AND one.rubric_version_id IS NOT NULL))"""


def moved(column: str) -> str:
    about = ABOUT.format(column=column)
    sides = " UNION ALL ".join(
        f"SELECT {COLUMNS}, {sign} AS sign, {side} AS side FROM {about}"  # noqa: S608 (constants)
        for sign, side in ((-1, "NOT $3"), (1, "$3"))
    )
    return COUNTED.format(given=f"({sides})", items="annotations_item", revoked="given.side")


REVOCATIONS = f"""
CREATE FUNCTION annotations_revocation_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  one annotations_revocation;
  was boolean := false;
  comes boolean := false;
BEGIN
  IF TG_OP <> 'INSERT' THEN one := OLD; was := OLD.lifted_at IS NULL; END IF;
  IF TG_OP <> 'DELETE' THEN one := NEW; comes := NEW.lifted_at IS NULL; END IF;
  IF was = comes THEN RETURN NULL; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('annotations_revocation'));
  IF one.rater_id IS NOT NULL THEN
    EXECUTE $of$ {moved("rater_id")} $of$ USING one.rater_id, one.id, comes;
  ELSE
    EXECUTE $of$ {moved("rubric_version_id")} $of$ USING one.rubric_version_id, one.id, comes;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER revocation_counts AFTER INSERT OR UPDATE OF lifted_at OR DELETE ON annotations_revocation
  FOR EACH ROW EXECUTE FUNCTION annotations_revocation_counts();
"""  # noqa: S608 (constants)
# Those that stood before counts knew of them.
ANEW = f"""
DO $$
BEGIN
  IF EXISTS (SELECT {STANDING}) THEN
    DELETE FROM annotations_scorecount;
    {counted(("annotations_score", 1))};
  END IF;
END $$;
"""  # noqa: S608 (constants)


class Migration(migrations.Migration):
    dependencies = [("annotations", "0019_revocations")]

    operations = [
        migrations.AddField("revocation", "settled_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("scorecount", "is_revoked", models.BooleanField(default=False, db_default=False)),
        migrations.RemoveIndex("scorecount", "scorecount_by_rater"),
        migrations.RemoveIndex("scorecount", "scorecount_by_model"),
        migrations.AddIndex(
            "scorecount",
            models.Index(
                fields=["project", "kind", "rater", "week", "score"], include=["scores", "total"], name="scorecount_by_rater",
                condition=models.Q(rater__isnull=False, is_revoked=False),
            ),
        ),
        migrations.AddIndex(
            "scorecount",
            models.Index(
                fields=["project", "kind", "source_model", "week", "score"], include=["scores", "total"], name="scorecount_by_model",
                condition=models.Q(source_model__isnull=False, is_revoked=False),
            ),
        ),
        migrations.AddIndex(
            "scorecount",
            models.Index(
                fields=["project", "kind", "rater"], include=["scores"], name="scorecount_revoked",
                condition=models.Q(rater__isnull=False, is_revoked=True),
            ),
        ),
        migrations.RunSQL(FUNCTIONS + REVOCATIONS),
        migrations.RunSQL(ANEW, migrations.RunSQL.noop),
    ]  # fmt: skip
