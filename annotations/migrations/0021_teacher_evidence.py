import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_endpoints"),
        ("annotations", "0020_revoked_counts"),
    ]

    operations = [
        migrations.AddField(
            model_name="teacherversion",
            name="search_url",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name="teacherversion",
            name="search_model",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.endpoint"
            ),
        ),
        migrations.CreateModel(
            name="TeacherEvidence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "source",
                    models.CharField(
                        choices=[("search", "A search"), ("model", "What a model knows"), ("rules", "Rules over words")],
                        max_length=8,
                    ),
                ),
                ("provider", models.CharField(max_length=800)),
                ("key", models.CharField(max_length=64)),
                ("query", models.TextField(blank=True)),
                ("text", models.TextField()),
                ("digest", models.CharField(max_length=64)),
                ("results", models.JSONField(blank=True, default=list)),
                ("questions", models.PositiveSmallIntegerField(default=0)),
                ("tokens_in", models.PositiveIntegerField(default=0)),
                ("tokens_out", models.PositiveIntegerField(default=0)),
                ("cost", models.DecimalField(blank=True, decimal_places=8, max_digits=14, null=True)),
                ("found_at", models.DateTimeField()),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="evidence",
                        to="annotations.teacherrun",
                    ),
                ),
            ],
            options={"verbose_name_plural": "teacher evidence", "ordering": ("-id",)},
        ),
        migrations.AddIndex(
            model_name="teacherevidence",
            index=models.Index(fields=["key", "-id"], name="teacher_evidence_newest"),
        ),
        migrations.AddField(
            model_name="teachercall",
            name="evidence",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="calls",
                to="annotations.teacherevidence",
            ),
        ),
        migrations.AddField(
            model_name="teachercall",
            name="evidence_source",
            field=models.CharField(
                blank=True,
                choices=[
                    ("search", "A search"),
                    ("cache", "Kept from a search"),
                    ("model", "What a model knows"),
                    ("rules", "Rules over words"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="teachercall",
            name="evidence_trouble",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddConstraint(
            model_name="teachercall",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("evidence", None), ("evidence_source", "")),
                    models.Q(("evidence__isnull", False), models.Q(("evidence_source", ""), _negated=True)),
                    _connector="OR",
                ),
                name="teacher_call_evidence_has_source",
            ),
        ),
    ]
