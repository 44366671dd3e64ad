"""All tables at once, for a new database: what the migrations that it replaces come to (`docs/design/one-machine.md`)."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

# The words' index keeps what is new in a list, and whoever fills the list sorts it in: a change of 2,000 items, or the 2,000th
# score, took half a second longer. The list may now be longer, and vacuum, which comes once a minute where something has
# changed, sorts it in. Searching through the longer list costs a millisecond or two.
CALMER = """
CREATE INDEX item_search ON annotations_item USING gin (search) WITH (gin_pending_list_limit = 32768);
ALTER TABLE annotations_item SET (autovacuum_vacuum_scale_factor = 0.001, autovacuum_vacuum_threshold = 1000);
"""
# Rows come and go all the time, and a vacuum of so small a table costs nothing.
TENDED = "ALTER TABLE annotations_scorecount SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);"
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
CREATE FUNCTION annotations_scores_come() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counted(("come", 1))}; RETURN NULL; END $$;

CREATE FUNCTION annotations_scores_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counted(("gone", -1), ("come", 1))}; RETURN NULL; END $$;

CREATE FUNCTION annotations_scores_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {counted(("gone", -1))}; RETURN NULL; END $$;

CREATE FUNCTION annotations_items_go() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER scores_come AFTER INSERT ON annotations_score
  REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION annotations_scores_come();
CREATE TRIGGER scores_change AFTER UPDATE ON annotations_score
  REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION annotations_scores_change();
CREATE TRIGGER scores_go AFTER DELETE ON annotations_score
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION annotations_scores_go();
CREATE TRIGGER items_go AFTER DELETE ON annotations_item
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION annotations_items_go();
-- A statement at a time, of any column, since transition tables go with no list of columns. The scoring desk updates items all
-- the time: what it costs there is a look at one row.
CREATE TRIGGER items_change AFTER UPDATE ON annotations_item
  REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION annotations_items_change();
"""


class Migration(migrations.Migration):
    replaces = [
        ("annotations", "0001_initial"),
        ("annotations", "0002_portal_in_depth"),
        ("annotations", "0003_comparison_count"),
        ("annotations", "0004_disputed_items"),
        ("annotations", "0005_data_manager"),
        ("annotations", "0006_cheaper_changes"),
        ("annotations", "0007_feedback_data"),
        ("annotations", "0008_items_since"),
        ("annotations", "0009_argilla"),
        ("annotations", "0010_imported_rankings"),
        ("annotations", "0011_argilla_disconnect"),
        ("annotations", "0012_process_rows"),
        ("annotations", "0013_undo"),
        ("annotations", "0014_score_counts"),
        ("annotations", "0015_counts_by_week"),
        ("annotations", "0016_counts_stay_small"),
        ("annotations", "0017_read_by_pages"),
        ("annotations", "0018_teachers"),
        ("annotations", "0019_revocations"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_endpoints"),
        ("jobs", "0001_squashed_0005_chores"),
    ]

    operations = [
        migrations.CreateModel(
            name="Rater",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("person", "Person"),
                            ("gold", "Gold answers"),
                            ("teacher", "Teacher"),
                            ("adjudicator", "Adjudicator"),
                        ],
                        max_length=12,
                    ),
                ),
                ("name", models.CharField(max_length=150)),
                (
                    "user",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rater",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "skills",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), blank=True, default=list, size=None
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "name"), name="rater_name_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "person"), ("user__isnull", False)),
                            models.Q(models.Q(("kind", "person"), _negated=True), ("user", None)),
                            _connector="OR",
                        ),
                        name="rater_person_has_user",
                    ),
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="RubricVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=60)),
                ("version", models.PositiveIntegerField()),
                ("title", models.CharField(max_length=120)),
                ("content_hash", models.CharField(max_length=64, unique=True)),
                ("data", models.JSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("name", "-version"),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="saved_views", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(max_length=1000)),
                ("is_shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("name",),
                "constraints": [models.UniqueConstraint(fields=("owner", "name"), name="saved_view_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="Teacher",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=80, unique=True)),
                (
                    "weight",
                    models.FloatField(
                        default=1.0,
                        validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)],
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("max_calls", models.PositiveIntegerField(blank=True, null=True)),
                ("max_cost", models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("name",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Project",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, unique=True)),
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("guidelines", models.TextField(blank=True)),
                (
                    "rubric_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="projects", to="annotations.rubricversion"
                    ),
                ),
                (
                    "raters_per_item",
                    models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MaxValueValidator(50)]),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("score", "Score one answer"),
                            ("compare", "Compare answers"),
                            ("review", "Score, criticise and revise"),
                        ],
                        default="score",
                        max_length=8,
                    ),
                ),
                ("asks_spans", models.BooleanField(default=False)),
                (
                    "review_rounds",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(9)],
                    ),
                ),
                (
                    "candidates_shown",
                    models.PositiveSmallIntegerField(
                        default=2,
                        validators=[django.core.validators.MinValueValidator(2), django.core.validators.MaxValueValidator(6)],
                    ),
                ),
                (
                    "order",
                    models.CharField(
                        choices=[("random", "Random"), ("uncertain", "Answers of doubtful confidence first")],
                        default="random",
                        max_length=10,
                    ),
                ),
                ("cap_per_person", models.PositiveIntegerField(blank=True, null=True)),
                ("members_only", models.BooleanField(default=False)),
                (
                    "gold_share",
                    models.FloatField(
                        default=0,
                        validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(0.5)],
                    ),
                ),
                (
                    "qualification_items",
                    models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(50)]),
                ),
                (
                    "qualification_pass",
                    models.FloatField(
                        default=0.7,
                        validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)],
                    ),
                ),
                (
                    "disagreement_threshold",
                    models.FloatField(
                        default=2,
                        validators=[django.core.validators.MinValueValidator(0.5), django.core.validators.MaxValueValidator(4)],
                    ),
                ),
                (
                    "extra_raters",
                    models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(10)]),
                ),
                (
                    "hold_minutes",
                    models.PositiveSmallIntegerField(
                        default=15,
                        validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1440)],
                    ),
                ),
                (
                    "assignment_days",
                    models.PositiveSmallIntegerField(
                        default=7,
                        validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(365)],
                    ),
                ),
                ("gate", models.JSONField(blank=True, default=dict)),
                ("item_count", models.PositiveIntegerField(default=0, editable=False)),
                ("gold_count", models.PositiveIntegerField(default=0, editable=False)),
                ("comparison_count", models.PositiveIntegerField(default=0, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("name",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Revocation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("rater", "Rater"), ("rubric_version", "Rubric version")], max_length=14)),
                (
                    "rater",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revocations",
                        to="annotations.rater",
                    ),
                ),
                (
                    "rubric_version",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revocations",
                        to="annotations.rubricversion",
                    ),
                ),
                ("reason", models.TextField()),
                (
                    "revoked_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("revoked_at", models.DateTimeField(auto_now_add=True)),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "lifted_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("lift_reason", models.TextField(blank=True)),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "rater"), ("rater__isnull", False), ("rubric_version", None)),
                            models.Q(("kind", "rubric_version"), ("rater", None), ("rubric_version__isnull", False)),
                            _connector="OR",
                        ),
                        name="revocation_of_one_thing",
                    ),
                    models.CheckConstraint(condition=models.Q(("reason", ""), _negated=True), name="revocation_has_reason"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lift_reason", ""), ("lifted_at", None)),
                            models.Q(("lifted_at__isnull", False), models.Q(("lift_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="revocation_lift_has_reason",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "rater"), ("lifted_at", None)),
                        fields=("rater",),
                        name="revocation_once_a_rater",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "rubric_version"), ("lifted_at", None)),
                        fields=("rubric_version",),
                        name="revocation_once_a_rubric",
                    ),
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="TeacherVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "teacher",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="annotations.teacher"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="teachers", to="accounts.endpoint"
                    ),
                ),
                ("model", models.CharField(max_length=200)),
                ("prompt", models.JSONField()),
                ("prompt_hash", models.CharField(max_length=64)),
                ("uses_reference", models.BooleanField(default=False)),
                ("max_tokens", models.PositiveIntegerField(default=400)),
                (
                    "temperature",
                    models.FloatField(
                        default=0.0,
                        validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(2)],
                    ),
                ),
                (
                    "fallback",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.endpoint",
                    ),
                ),
                ("uses_rules", models.BooleanField(default=False)),
                (
                    "rater",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="teacher_version", to="annotations.rater"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("teacher", "-number"),
                "constraints": [models.UniqueConstraint(fields=("teacher", "number"), name="teacher_version_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="ArgillaLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="argilla", to="annotations.project"
                    ),
                ),
                ("url", models.CharField(max_length=300)),
                ("sealed_key", models.TextField()),
                ("sealed_webhook_secret", models.TextField(blank=True)),
                ("webhook_id", models.UUIDField(null=True)),
                ("webhook_address", models.CharField(blank=True, max_length=300)),
                ("workspace", models.CharField(max_length=200)),
                ("dataset", models.CharField(max_length=200)),
                ("dataset_id", models.UUIDField(null=True)),
                (
                    "rubric_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.rubricversion"
                    ),
                ),
                ("teachers", models.JSONField(default=dict)),
                ("scanned_activity", models.CharField(blank=True, max_length=40)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="BulkAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("action", models.CharField(max_length=20)),
                (
                    "project",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="bulk_actions",
                        to="annotations.project",
                    ),
                ),
                ("settings", models.JSONField(default=dict)),
                ("chosen", models.PositiveIntegerField(default=0)),
                ("changed", models.PositiveIntegerField(default=0)),
                ("left_out", models.JSONField(default=dict)),
                (
                    "actor",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "job",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="bulk_action", to="jobs.job"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("done_at", models.DateTimeField(null=True)),
                ("undo_asked_at", models.DateTimeField(null=True)),
                (
                    "undo_job",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="bulk_undo", to="jobs.job"
                    ),
                ),
                ("undone", models.PositiveIntegerField(default=0)),
                ("undone_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="DatasetVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=120, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("sft", "SFT rows"),
                            ("preference", "Preference pairs"),
                            ("prompts", "Prompts"),
                            ("unpaired", "Unpaired rows"),
                            ("scored", "Scored rows"),
                            ("weighted", "Weighted groups"),
                            ("process", "Steps with labels"),
                            ("tuples", "RLWHF tuples"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="datasets",
                        to="annotations.project",
                    ),
                ),
                ("settings", models.JSONField(default=dict)),
                ("source", models.CharField(blank=True, max_length=200)),
                ("folder", models.CharField(blank=True, max_length=500)),
                ("content_hash", models.CharField(blank=True, max_length=64)),
                ("counts", models.JSONField(default=dict)),
                ("verdict", models.CharField(blank=True, max_length=8)),
                ("report", models.JSONField(default=dict)),
                (
                    "job",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="dataset_version",
                        to="jobs.job",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("ready_at", models.DateTimeField(null=True)),
                ("parents", models.ManyToManyField(blank=True, related_name="children", to="annotations.datasetversion")),
            ],
            options={
                "verbose_name": "dataset version",
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Import",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="imports", to="annotations.project"
                    ),
                ),
                ("file_name", models.CharField(max_length=200)),
                ("stored_path", models.CharField(blank=True, max_length=500)),
                ("rater_name", models.CharField(default="imported", max_length=150)),
                ("source_format", models.CharField(default="tuples", max_length=40)),
                ("settings", models.JSONField(blank=True, default=dict)),
                ("content_hash", models.CharField(blank=True, max_length=64)),
                ("records_done", models.PositiveBigIntegerField(default=0)),
                ("first_item", models.BigIntegerField(null=True)),
                ("last_item", models.BigIntegerField(null=True)),
                ("first_score", models.BigIntegerField(null=True)),
                ("last_score", models.BigIntegerField(null=True)),
                ("undone_at", models.DateTimeField(null=True)),
                ("report", models.JSONField(default=dict)),
                ("refused_path", models.CharField(blank=True, max_length=500)),
                (
                    "job",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="item_import", to="jobs.job"
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="memberships", to="annotations.project"
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="memberships", to="annotations.rater"
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("cap", models.PositiveIntegerField(blank=True, null=True)),
                ("qualified_at", models.DateTimeField(blank=True, null=True)),
                ("qualified_by", models.CharField(blank=True, max_length=8)),
                ("attempt", models.PositiveSmallIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("project", "rater"), name="membership_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="Progress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="progress", to="annotations.project"
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="progress", to="annotations.rater"
                    ),
                ),
                ("scored", models.IntegerField(default=0)),
                ("skipped", models.IntegerField(default=0)),
                ("completed", models.IntegerField(default=0)),
                ("seconds", models.FloatField(default=0)),
                ("gold", models.IntegerField(default=0)),
                ("cursor", models.BigIntegerField(default=-1)),
            ],
            options={
                "verbose_name_plural": "progress",
                "constraints": [models.UniqueConstraint(fields=("project", "rater"), name="progress_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="QualityReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="quality_reports", to="annotations.project"
                    ),
                ),
                ("last_score", models.BigIntegerField(default=0)),
                ("data", models.JSONField(default=dict)),
                ("headline", models.JSONField(default=dict)),
                ("summary", models.JSONField(default=dict)),
                (
                    "job",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="quality_report", to="jobs.job"
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("ready_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="ScoreCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="annotations.project",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("person", "Person"),
                            ("gold", "Gold answers"),
                            ("teacher", "Teacher"),
                            ("adjudicator", "Adjudicator"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="annotations.rater",
                    ),
                ),
                ("source_model", models.CharField(max_length=200, null=True)),
                ("week", models.DateField()),
                ("score", models.SmallIntegerField(null=True)),
                ("scores", models.IntegerField()),
                ("total", models.DecimalField(decimal_places=6, max_digits=20)),
                ("is_folded", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["project", "week"], name="scorecount_by_week"),
                    models.Index(condition=models.Q(("is_folded", False)), fields=["project", "week"], name="scorecount_changes"),
                    models.Index(
                        condition=models.Q(("rater__isnull", False)),
                        fields=["project", "kind", "rater", "week", "score"],
                        include=("scores", "total"),
                        name="scorecount_by_rater",
                    ),
                    models.Index(
                        condition=models.Q(("source_model__isnull", False)),
                        fields=["project", "kind", "source_model", "week", "score"],
                        include=("scores", "total"),
                        name="scorecount_by_model",
                    ),
                ],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="TeacherRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="teacher_runs", to="annotations.project"
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="annotations.teacherversion"
                    ),
                ),
                ("most", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "job",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="teacher_run", to="jobs.job"),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("scored", models.PositiveIntegerField(default=0)),
                ("malformed", models.PositiveIntegerField(default=0)),
                ("cannot_tell", models.PositiveIntegerField(default=0)),
                ("quality", models.JSONField(blank=True, null=True)),
                ("ended_early", models.CharField(blank=True, max_length=300)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="ArgillaEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="events", to="annotations.argillalink"
                    ),
                ),
                ("message", models.CharField(max_length=100)),
                ("kind", models.CharField(max_length=40)),
                ("record_id", models.UUIDField(null=True)),
                ("received_at", models.DateTimeField(auto_now_add=True)),
                ("handled_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [
                    models.Index(condition=models.Q(("handled_at", None)), fields=["link"], name="argilla_event_waiting")
                ],
                "constraints": [models.UniqueConstraint(fields=("link", "message"), name="argilla_event_once")],
            },
        ),
        migrations.CreateModel(
            name="ArgillaPerson",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="people", to="annotations.argillalink"
                    ),
                ),
                ("argilla_id", models.UUIDField()),
                ("username", models.CharField(max_length=200)),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("is_gone", models.BooleanField(default=False)),
            ],
            options={
                "ordering": ("username",),
                "constraints": [models.UniqueConstraint(fields=("link", "argilla_id"), name="argilla_person_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="ArgillaSync",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="syncs", to="annotations.argillalink"
                    ),
                ),
                (
                    "direction",
                    models.CharField(choices=[("push", "Push"), ("pull", "Pull"), ("disconnect", "Disconnect")], max_length=10),
                ),
                ("mode", models.CharField(blank=True, max_length=8)),
                ("counts", models.JSONField(default=dict)),
                ("problem", models.CharField(blank=True, max_length=500)),
                (
                    "actor",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "job",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="argilla_sync", to="jobs.job"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="BulkBatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="batches", to="annotations.bulkaction"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("items", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("before", models.JSONField(default=list)),
                ("done_at", models.DateTimeField(null=True)),
                ("undone_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("action", "number"),
                "constraints": [models.UniqueConstraint(fields=("action", "number"), name="bulk_batch_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="DatasetContributor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="contributors", to="annotations.datasetversion"
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="contributions", to="annotations.rater"
                    ),
                ),
                (
                    "rubric_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="contributions", to="annotations.rubricversion"
                    ),
                ),
                ("scores", models.PositiveIntegerField(default=0)),
                ("rankings", models.PositiveIntegerField(default=0)),
                ("items", models.PositiveIntegerField(default=0)),
                ("rows", models.PositiveIntegerField(default=0)),
            ],
            options={
                "ordering": ("version", "-rows"),
                "constraints": [models.UniqueConstraint(fields=("version", "rater", "rubric_version"), name="contributor_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="annotations.project",
                    ),
                ),
                ("prompt", models.JSONField()),
                ("prompt_is_text", models.BooleanField(default=True)),
                ("prompt_text", models.TextField(editable=False)),
                ("answer", models.TextField()),
                ("source_model", models.CharField(blank=True, max_length=200)),
                (
                    "stated_confidence",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)],
                    ),
                ),
                ("gold_answers", models.JSONField(blank=True, default=list)),
                (
                    "knowledge",
                    models.CharField(
                        blank=True,
                        choices=[("known", "Known to the model"), ("unknown", "Unknown to the model")],
                        max_length=8,
                        null=True,
                    ),
                ),
                ("knowledge_source", models.CharField(blank=True, max_length=80)),
                ("entity", models.CharField(blank=True, max_length=200)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("content_hash", models.CharField(editable=False, max_length=64)),
                ("prompt_hash", models.CharField(editable=False, max_length=64)),
                ("position", models.BigIntegerField(editable=False)),
                ("people_scores", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("is_open", models.BooleanField(default=True, editable=False)),
                ("open_flags", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("extra_raters", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("consensus", models.FloatField(editable=False, null=True)),
                ("spread", models.FloatField(editable=False, null=True)),
                ("adjudicated_at", models.DateTimeField(editable=False, null=True)),
                ("priority", models.SmallIntegerField(default=0)),
                ("skill", models.CharField(blank=True, max_length=40)),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), blank=True, default=list, size=None
                    ),
                ),
                (
                    "gold_score",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(-2), django.core.validators.MaxValueValidator(2)],
                    ),
                ),
                ("gold_note", models.TextField(blank=True)),
                ("is_qualification", models.BooleanField(default=False)),
                (
                    "revises",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revisions",
                        to="annotations.item",
                    ),
                ),
                ("iteration", models.PositiveSmallIntegerField(default=0, editable=False)),
                (
                    "written_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="written",
                        to="annotations.rater",
                    ),
                ),
                (
                    "source_import",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="items",
                        to="annotations.import",
                    ),
                ),
                ("source_line", models.PositiveBigIntegerField(blank=True, editable=False, null=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "search",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.contrib.postgres.search.SearchVector(
                            django.db.models.functions.text.Left("prompt_text", 50000),
                            django.db.models.functions.text.Left("answer", 50000),
                            config="simple",
                        ),
                        output_field=django.contrib.postgres.search.SearchVectorField(),
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["project", "-id"], name="item_newest"),
                    models.Index(fields=["project", "prompt_hash", "content_hash"], name="item_by_prompt"),
                    models.Index(fields=["project", "source_model"], name="item_by_source"),
                    models.Index(
                        condition=models.Q(("is_open", True)), fields=["project", "-priority", "position"], name="item_open"
                    ),
                    models.Index(
                        condition=models.Q(("gold_score__isnull", False)), fields=["project", "position"], name="item_gold"
                    ),
                    models.Index(condition=models.Q(("revises__isnull", False)), fields=["revises"], name="item_revisions"),
                    models.Index(condition=models.Q(("open_flags__gt", 0)), fields=["project", "-id"], name="item_flagged"),
                    models.Index(
                        condition=models.Q(("adjudicated_at", None), ("spread__gt", 0)),
                        fields=["project", "-spread", "id"],
                        name="item_disputed",
                    ),
                    models.Index(
                        condition=models.Q(("adjudicated_at__isnull", False)),
                        fields=["project", "-adjudicated_at"],
                        name="item_adjudicated",
                    ),
                    django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="item_tags"),
                    models.Index(condition=models.Q(("skill__gt", "")), fields=["project", "skill", "id"], name="item_skill"),
                    models.Index(
                        condition=models.Q(("people_scores__gt", 0)),
                        fields=["project", "is_open", "consensus", "id"],
                        name="item_score",
                    ),
                    models.Index(
                        condition=models.Q(("stated_confidence__isnull", False)),
                        fields=["project", "stated_confidence", "id"],
                        name="item_confidence",
                    ),
                    models.Index(
                        condition=models.Q(("knowledge__isnull", False)), fields=["project", "knowledge"], name="item_knowledge"
                    ),
                    models.Index(
                        condition=models.Q(("priority__gte", 2)), fields=["project", "priority", "id"], name="item_priority"
                    ),
                    models.Index(condition=models.Q(("deleted_at__isnull", False)), fields=["id"], name="item_deleted"),
                    models.Index(fields=["created_at"], name="item_since"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "content_hash"), name="item_once_in_project"),
                    models.CheckConstraint(
                        condition=models.Q(("stated_confidence", None), ("stated_confidence__range", (0, 1)), _connector="OR"),
                        name="item_confidence_is_a_share",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ArgillaConflict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="conflicts", to="annotations.argillalink"
                    ),
                ),
                ("item", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotations.item")),
                (
                    "rater",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.rater"),
                ),
                ("ours", models.JSONField()),
                ("theirs", models.JSONField()),
                ("stands", models.CharField(max_length=6)),
                ("response_id", models.UUIDField()),
                ("response_at", models.CharField(max_length=40)),
                ("decided_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.UniqueConstraint(fields=("link", "response_id", "response_at"), name="argilla_conflict_once")
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="ArgillaRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "link",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="records",
                        to="annotations.argillalink",
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="argilla_records", to="annotations.item"
                    ),
                ),
                ("record_id", models.UUIDField()),
                ("content_hash", models.CharField(max_length=64)),
                ("pushed_hash", models.CharField(max_length=64)),
                ("pushed_at", models.DateTimeField()),
                ("trouble", models.CharField(blank=True, max_length=10)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("link", "content_hash"), name="argilla_record_once"),
                    models.UniqueConstraint(fields=("link", "record_id"), name="argilla_record_id_once"),
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="DatasetUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uses",
                        to="annotations.datasetversion",
                    ),
                ),
                ("split", models.CharField(max_length=5)),
                ("row", models.PositiveIntegerField()),
                ("part", models.CharField(max_length=16)),
                (
                    "item",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="uses", to="annotations.item"),
                ),
                (
                    "scores",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None),
                ),
                (
                    "rankings",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None),
                ),
            ],
            options={
                "ordering": ("version", "split", "row", "id"),
                "indexes": [models.Index(fields=["version", "split", "row"], name="use_by_row")],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Draft",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "item",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="drafts", to="annotations.item"),
                ),
                (
                    "rater",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="drafts", to="annotations.rater"),
                ),
                ("data", models.JSONField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("item", "rater"), name="draft_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="Flag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "item",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="flags", to="annotations.item"),
                ),
                (
                    "rater",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="annotations.rater"),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("broken", "Broken or unreadable"),
                            ("unclear", "Prompt makes no sense"),
                            ("sensitive", "Private or harmful content"),
                            ("duplicate", "Seen before"),
                            ("other", "Something else"),
                        ],
                        max_length=12,
                    ),
                ),
                ("note", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "resolved_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Ranking",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rankings", to="annotations.item"
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="rankings", to="annotations.rater"
                    ),
                ),
                (
                    "rubric_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.rubricversion"
                    ),
                ),
                ("shown", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("ranks", django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), size=None)),
                ("all_bad", models.BooleanField(default=False)),
                ("critique", models.TextField(blank=True)),
                ("seconds", models.FloatField(null=True)),
                ("submission", models.UUIDField(null=True, unique=True)),
                ("given_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "source_import",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="rankings",
                        to="annotations.import",
                    ),
                ),
                ("source_line", models.PositiveBigIntegerField(blank=True, editable=False, null=True)),
                (
                    "replaces",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.ranking"
                    ),
                ),
                ("withdrawn_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("id",),
                "indexes": [models.Index(fields=["rater", "-given_at"], name="ranking_by_rater")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("source_import", None), ("withdrawn_at", None)),
                        fields=("item", "rater"),
                        name="ranking_one_live_per_rater",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Score",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "item",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="scores", to="annotations.item"),
                ),
                (
                    "rater",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="scores", to="annotations.rater"),
                ),
                (
                    "rubric_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.rubricversion"
                    ),
                ),
                ("overall", models.FloatField(null=True)),
                ("dimensions", models.JSONField(default=dict)),
                ("critique", models.TextField(blank=True)),
                ("spans", models.JSONField(default=list)),
                ("revised_answer", models.TextField(blank=True)),
                ("cannot_verify", models.BooleanField(default=False)),
                ("seconds", models.FloatField(null=True)),
                ("submission", models.UUIDField(null=True, unique=True)),
                ("metadata", models.JSONField(default=dict)),
                ("given_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "source_import",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="scores",
                        to="annotations.import",
                    ),
                ),
                ("source_line", models.PositiveBigIntegerField(blank=True, editable=False, null=True)),
                (
                    "replaces",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.score"
                    ),
                ),
                ("withdrawn_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("id",),
                "indexes": [models.Index(fields=["rater", "-given_at"], name="score_by_rater")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("withdrawn_at", None)), fields=("item", "rater"), name="score_one_live_per_rater"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cannot_verify", True), ("overall", None)),
                            models.Q(("cannot_verify", False), ("overall__range", (-2, 2))),
                            _connector="OR",
                        ),
                        name="score_or_cannot_verify",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TeacherCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="calls", to="annotations.teacherrun"
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="teacher_calls", to="annotations.item"
                    ),
                ),
                (
                    "other",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="annotations.item",
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("live", "The endpoint"), ("fallback", "The fallback endpoint"), ("rules", "Rules over words")],
                        default="live",
                        max_length=8,
                    ),
                ),
                ("reply", models.TextField(blank=True)),
                ("score", models.FloatField(blank=True, null=True)),
                ("better", models.CharField(blank=True, max_length=6)),
                ("consistent", models.BooleanField(blank=True, null=True)),
                ("reason", models.TextField(blank=True)),
                ("questions", models.PositiveSmallIntegerField(default=0)),
                ("tokens_in", models.PositiveIntegerField(default=0)),
                ("tokens_out", models.PositiveIntegerField(default=0)),
                ("cost", models.DecimalField(blank=True, decimal_places=8, max_digits=14, null=True)),
                ("seconds", models.FloatField(default=0.0)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [models.Index(fields=["item"], name="teacher_call_by_item")],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Turn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "item",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="turns", to="annotations.item"),
                ),
                (
                    "rater",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="turns", to="annotations.rater"),
                ),
                (
                    "project",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotations.project"),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("held", "Held"),
                            ("assigned", "Assigned"),
                            ("scored", "Scored"),
                            ("skipped", "Skipped"),
                            ("flagged", "Flagged"),
                            ("revealed", "Saw the scores"),
                            ("wrote", "Wrote the answer"),
                        ],
                        max_length=8,
                    ),
                ),
                ("held_until", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["rater", "project", "-updated_at"], name="turn_latest"),
                    models.Index(condition=models.Q(("state__in", ("held", "assigned"))), fields=["item"], name="turn_held"),
                    models.Index(
                        condition=models.Q(("state", "assigned")), fields=["rater", "project"], name="turn_mine_assigned"
                    ),
                    models.Index(
                        condition=models.Q(("state", "held")), fields=["rater", "project", "held_until"], name="turn_mine_held"
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("item", "rater"), name="turn_once")],
            },
        ),
        migrations.CreateModel(
            name="Undo",
            fields=[
                ("request", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "rater",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotations.rater"),
                ),
                (
                    "item",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotations.item"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="ArgillaResponse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="responses", to="annotations.argillarecord"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="responses", to="annotations.argillaperson"
                    ),
                ),
                ("response_id", models.UUIDField()),
                ("status", models.CharField(max_length=10)),
                ("updated_at", models.CharField(max_length=40)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("taken", "taken"),
                            ("agrees", "same as here"),
                            ("ours", "older than the score here"),
                            ("draft", "draft"),
                            ("discarded", "skipped there"),
                            ("refused", "refused"),
                            ("deleted", "deleted there"),
                            ("kept", "gone there, kept here"),
                        ],
                        max_length=10,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=300)),
                (
                    "score",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="annotations.score"
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="annotations.rater"
                    ),
                ),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("record", "response_id"), name="argilla_response_once")],
                "indexes": [],
            },
        ),
        migrations.RunSQL(
            CALMER,
            state_operations=[
                migrations.AddIndex("item", django.contrib.postgres.indexes.GinIndex(fields=["search"], name="item_search"))
            ],
        ),
        migrations.RunSQL(TENDED),
        migrations.RunSQL(FUNCTIONS + TRIGGERS),
    ]
