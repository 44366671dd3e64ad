"""What was computed about a project's scores."""

from typing import Any

from django.db import models

from annotations.models.projects import Project


class QualityReport(models.Model):
    """Agreement and each annotator's figures in a project, as they were when it was computed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="quality_reports")
    # The highest score id that it has seen: what came later is not in it.
    last_score = models.BigIntegerField(default=0)
    data: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    # Of `data` what pages about all projects and all people read, which is a tenth of it: `annotations.services.quality`.
    headline: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    summary: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    job = models.OneToOneField("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="quality_report")
    requested_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"quality of {self.project}"
