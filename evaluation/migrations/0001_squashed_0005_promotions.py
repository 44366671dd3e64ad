"""All tables at once, for a new database: what the migrations that it replaces come to (`docs/design/one-machine.md`)."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("evaluation", "0001_initial"),
        ("evaluation", "0002_endpoint"),
        ("evaluation", "0003_benchmark_facts"),
        ("evaluation", "0004_headlines"),
        ("evaluation", "0005_promotions"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_endpoints"),
        ("annotations", "0001_squashed_0019_revocations"),
        ("jobs", "0001_squashed_0005_chores"),
        ("training", "0001_squashed_0004_run_fallbacks"),
    ]

    operations = [
        migrations.CreateModel(
            name="Benchmark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=120)),
                ("version", models.CharField(max_length=40)),
                ("hash", models.CharField(max_length=64, unique=True)),
                ("folder", models.CharField(max_length=500)),
                ("n", models.PositiveIntegerField()),
                ("title", models.CharField(blank=True, max_length=200)),
                ("facts", models.JSONField(blank=True, default=dict)),
                (
                    "project",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="benchmarks",
                        to="annotations.project",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Evaluation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "artifact",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluations",
                        to="training.artifact",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluations",
                        to="accounts.endpoint",
                    ),
                ),
                (
                    "benchmark",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="evaluations", to="evaluation.benchmark"
                    ),
                ),
                (
                    "base",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="training.artifact",
                    ),
                ),
                ("settings", models.JSONField(default=dict)),
                (
                    "job",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="evaluation", to="jobs.job"),
                ),
                ("scorecard", models.JSONField(blank=True, null=True)),
                ("headline", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("artifact", None), ("endpoint__isnull", False)),
                            models.Q(("artifact__isnull", False), ("endpoint", None)),
                            _connector="OR",
                        ),
                        name="evaluation_of_one_model",
                    )
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="PromotionRules",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="promotion_rules", to="annotations.project"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("rules", models.JSONField()),
                (
                    "benchmark",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="evaluation.benchmark"),
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
                "verbose_name_plural": "promotion rules",
                "ordering": ("project", "-number"),
                "constraints": [models.UniqueConstraint(fields=("project", "number"), name="promotion_rules_once")],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="Promotion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="promotions", to="annotations.project"
                    ),
                ),
                (
                    "artifact",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="promotions", to="training.artifact"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("rules", "By the rules"), ("override", "By hand"), ("rollback", "Rolled back to")], max_length=8
                    ),
                ),
                (
                    "previous",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="evaluation.promotion",
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("certificate", models.JSONField()),
                (
                    "promoted_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("promoted_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_because", models.TextField(blank=True)),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)), fields=("project",), name="promotion_one_champion"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind", "override"), ("reason", ""), _negated=True),
                        name="promotion_override_has_reason",
                    ),
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="PromotionVerdict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="verdicts", to="annotations.project"
                    ),
                ),
                (
                    "rules",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="verdicts", to="evaluation.promotionrules"
                    ),
                ),
                (
                    "evaluation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="verdicts", to="evaluation.evaluation"
                    ),
                ),
                (
                    "against",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="evaluation.evaluation",
                    ),
                ),
                (
                    "champion",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="evaluation.promotion",
                    ),
                ),
                ("watch", models.BooleanField(default=False)),
                ("job", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="verdict", to="jobs.job")),
                ("passed", models.BooleanField(null=True)),
                ("document", models.JSONField(blank=True, null=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("ready_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.AddField(
            model_name="Promotion",
            name="verdict",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="promotions",
                to="evaluation.promotionverdict",
            ),
        ),
    ]
