"""All tables at once, for a new database: what the migrations that it replaces come to (`docs/design/one-machine.md`)."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("training", "0001_initial"),
        ("training", "0002_purposes"),
        ("training", "0003_recipe_paths"),
        ("training", "0004_run_fallbacks"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_endpoints"),
        ("annotations", "0001_squashed_0019_revocations"),
        ("jobs", "0001_squashed_0005_chores"),
    ]

    operations = [
        migrations.CreateModel(
            name="Artifact",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=120, unique=True)),
                (
                    "kind",
                    models.CharField(choices=[("model", "Full model"), ("adapter", "Adapter")], default="model", max_length=8),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("policy", "Answers"),
                            ("reward_model", "Reward model"),
                            ("process_reward_model", "Process reward model"),
                        ],
                        default="policy",
                        max_length=20,
                    ),
                ),
                ("folder", models.CharField(blank=True, max_length=500)),
                (
                    "base",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="descendants",
                        to="training.artifact",
                    ),
                ),
                ("metrics", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("ready_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=120, unique=True)),
                ("method", models.CharField(max_length=16)),
                ("recipe", models.TextField(blank=True)),
                ("spec", models.JSONField()),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="annotations.datasetversion"
                    ),
                ),
                (
                    "base",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="runs",
                        to="training.artifact",
                    ),
                ),
                (
                    "artifact",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="run", to="training.artifact"),
                ),
                ("job", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="run", to="jobs.job")),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("fallbacks", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("uses", models.ManyToManyField(blank=True, related_name="used_by", to="training.artifact")),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [],
                "constraints": [],
            },
        ),
    ]
