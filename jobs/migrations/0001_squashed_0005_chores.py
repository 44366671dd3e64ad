"""All tables at once, for a new database: what the migrations that it replaces come to (`docs/design/one-machine.md`)."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("jobs", "0001_initial"),
        ("jobs", "0002_steering"),
        ("jobs", "0003_monitoring"),
        ("jobs", "0004_storage"),
        ("jobs", "0005_chores"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_endpoints"),
    ]

    operations = [
        migrations.CreateModel(
            name="AlertHook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("url", models.CharField(max_length=500, unique=True)),
                ("sealed_secret", models.TextField(editable=False)),
                ("rules", models.JSONField(blank=True, default=list)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Chore",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
                ("begun_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="PausedQueue",
            fields=[
                ("tag", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("paused_at", models.DateTimeField(auto_now_add=True)),
                (
                    "paused_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("tag",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Pipeline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120)),
                ("kind", models.CharField(db_index=True, max_length=64)),
                ("payload", models.JSONField(default=dict)),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
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
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hardware_tag", models.CharField(max_length=32)),
                ("valid_from", models.DateTimeField(blank=True, null=True)),
                ("per_hour", models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                ("per_kwh", models.DecimalField(blank=True, decimal_places=6, max_digits=12, null=True)),
                ("currency", models.CharField(max_length=3)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("hardware_tag", models.OrderBy(models.F("valid_from"), descending=True, nulls_last=True)),
                "constraints": [
                    models.UniqueConstraint(fields=("hardware_tag", "valid_from"), name="price_once", nulls_distinct=False),
                    models.CheckConstraint(
                        condition=models.Q(("per_hour__isnull", False), ("per_kwh__isnull", False), _connector="OR"),
                        name="price_says_something",
                    ),
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="SiteHome",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=500)),
                ("key", models.CharField(max_length=64)),
                ("told_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="StorageUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seen_at", models.DateTimeField()),
                ("who", models.CharField(max_length=200)),
            ],
            options={
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="StoredFolder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=500, unique=True)),
                ("manifest", models.CharField(blank=True, max_length=64)),
                (
                    "origin",
                    models.CharField(choices=[("site", "The site"), ("worker", "A worker")], default="site", max_length=6),
                ),
                ("is_final", models.BooleanField(default=False)),
                ("files", models.PositiveIntegerField(default=0)),
                ("size", models.BigIntegerField(default=0)),
                ("stored_at", models.DateTimeField(null=True)),
                ("fetched_at", models.DateTimeField(null=True)),
                ("asked_at", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("busy_at", models.DateTimeField(null=True)),
                ("busy_bytes", models.BigIntegerField(default=0)),
                ("problem", models.TextField(blank=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("answered_at", None), ("asked_at__gt", models.F("answered_at")), _connector="OR"),
                        fields=["asked_at"],
                        name="folder_asked",
                    ),
                    models.Index(
                        condition=models.Q(("fetched_at", None), ("is_final", True), ("origin", "worker")),
                        fields=["id"],
                        name="folder_to_fetch",
                    ),
                ],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, unique=True)),
                ("host", models.CharField(max_length=120)),
                ("pid", models.PositiveIntegerField()),
                ("tags", models.JSONField(default=list)),
                ("hardware", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField(db_index=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("drained_at", models.DateTimeField(null=True)),
                ("hands_back", models.BooleanField(default=False)),
            ],
            options={
                "ordering": ("-seen_at",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=64)),
                ("title", models.CharField(max_length=200)),
                ("hardware_tag", models.CharField(max_length=32)),
                ("priority", models.SmallIntegerField(default=0)),
                ("payload", models.JSONField(default=dict)),
                (
                    "pipeline",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to="jobs.pipeline",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("starting", "Starting"),
                            ("running", "Running"),
                            ("stopping", "Stopping"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("stopped", "Stopped"),
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("lease_token", models.UUIDField(editable=False, null=True)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                (
                    "worker",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="jobs", to="jobs.worker"
                    ),
                ),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("max_attempts", models.PositiveSmallIntegerField(default=3)),
                ("cancel_requested", models.BooleanField(default=False)),
                ("start_over", models.BooleanField(default=False)),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("enqueued_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("folder", models.CharField(blank=True, max_length=500)),
                ("progress_done", models.FloatField(null=True)),
                ("progress_total", models.FloatField(null=True)),
                ("progress_note", models.CharField(blank=True, max_length=200)),
                ("reason", models.TextField(blank=True)),
                ("hint", models.TextField(blank=True)),
                ("result", models.JSONField(null=True)),
                ("exit_code", models.IntegerField(null=True)),
                ("notices", models.JSONField(default=list)),
                ("after", models.ManyToManyField(blank=True, related_name="dependents", to="jobs.job")),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "queued")), fields=["hardware_tag", "-priority", "id"], name="job_claimable"
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ("starting", "running", "stopping"))),
                        fields=["lease_until"],
                        name="job_held",
                    ),
                    models.Index(fields=["kind", "-id"], name="job_by_kind"),
                    models.Index(fields=["state", "-id"], name="job_by_state"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["queued", "starting", "running", "stopping", "succeeded", "failed", "stopped"])
                        ),
                        name="job_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lease_token__isnull", False), ("state__in", ("starting", "running", "stopping"))),
                            models.Q(("state__in", ("starting", "running", "stopping")), _negated=True),
                            _connector="OR",
                        ),
                        name="job_held_by_somebody",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rule", models.CharField(max_length=32)),
                ("level", models.CharField(choices=[("warning", "Warning"), ("error", "Error")], max_length=8)),
                ("subject", models.CharField(max_length=160)),
                (
                    "job",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to="jobs.job"
                    ),
                ),
                (
                    "worker",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="alerts",
                        to="jobs.worker",
                    ),
                ),
                ("message", models.TextField()),
                ("hint", models.TextField(blank=True)),
                ("detail", models.JSONField(default=dict)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_because", models.CharField(blank=True, max_length=200)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)), fields=("rule", "subject"), name="alert_open_once"
                    ),
                    models.CheckConstraint(condition=models.Q(("level__in", ("warning", "error"))), name="alert_level_known"),
                ],
                "indexes": [],
            },
        ),
        migrations.CreateModel(
            name="StreamPiece",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "job",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="stream_pieces", to="jobs.job"),
                ),
                ("folder", models.CharField(max_length=500)),
                ("name", models.CharField(max_length=300)),
                ("start", models.BigIntegerField()),
                ("data", models.BinaryField()),
            ],
            options={
                "ordering": ("id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="usages", to="jobs.job")),
                (
                    "worker",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="jobs.worker"
                    ),
                ),
                ("hardware_tag", models.CharField(max_length=32)),
                ("attempt", models.PositiveSmallIntegerField()),
                ("started_at", models.DateTimeField()),
                ("seconds", models.FloatField(default=0)),
                ("cpu_seconds", models.FloatField(null=True)),
                ("energy_joules", models.FloatField(null=True)),
                ("peak_memory_bytes", models.BigIntegerField(null=True)),
            ],
            options={
                "ordering": ("id",),
                "indexes": [],
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="AlertDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "hook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="jobs.alerthook"
                    ),
                ),
                (
                    "alert",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="jobs.alert"
                    ),
                ),
                ("event", models.CharField(max_length=16)),
                ("message_id", models.CharField(max_length=40, unique=True)),
                ("body", models.TextField()),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [models.Index(condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="delivery_due")],
                "constraints": [],
            },
        ),
    ]
