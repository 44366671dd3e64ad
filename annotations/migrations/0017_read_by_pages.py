"""What pages of all projects read: counts by indexes that hold all of it, and of quality reports what stands at their head."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

FIGURES = ("rater", "bias", "kappa", "gold_exact", "signals")


def summarised(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    reports: Any = apps.get_model("annotations", "QualityReport").objects.exclude(ready_at=None)
    for report in reports.iterator(10):
        data = report.data
        agreement = data.get("agreement") or []
        report.headline = {"alpha": agreement[0]["alpha"] if agreement else None, "scores": data.get("scores") or 0}
        report.summary = {
            "agreement": agreement,
            "over_time": data.get("over_time") or {"rows": []},
            "annotators": [{name: one.get(name) for name in FIGURES} for one in data.get("annotators") or ()],
        }
        report.save(update_fields=["headline", "summary"])


class Migration(migrations.Migration):
    dependencies = [("annotations", "0016_counts_stay_small")]

    operations = [
        migrations.AddField("qualityreport", "headline", models.JSONField(default=dict)),
        migrations.AddField("qualityreport", "summary", models.JSONField(default=dict)),
        migrations.RunPython(summarised, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            "scorecount",
            models.Index(
                fields=["project", "kind", "rater", "week", "score"], include=["scores", "total"], name="scorecount_by_rater",
                condition=models.Q(rater__isnull=False),
            ),
        ),
        migrations.AddIndex(
            "scorecount",
            models.Index(
                fields=["project", "kind", "source_model", "week", "score"], include=["scores", "total"], name="scorecount_by_model",
                condition=models.Q(source_model__isnull=False),
            ),
        ),
    ]  # fmt: skip
