"""The quality report: ask for one, and keep what was computed. Computing it is `annotations.quality_compute`'s: it needs
libraries that the web process does without.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Project, QualityReport
from jobs.models import ENDED
from jobs.services import job_queue

# Older ones say nothing that the newest chart of agreement over time does not.
KEPT = 10
# Of each annotator, in a report's summary.
FIGURES = ("rater", "bias", "kappa", "gold_exact", "signals")


@dataclass(frozen=True)
class Computed:
    """A report that was computed and not yet kept."""

    last_score: int
    data: dict[str, Any]


@transaction.atomic
def quality_queue(*, project: Project, actor: User | None) -> QualityReport:
    """Ask for a new report; one that is under way already is returned as it is."""
    # Two who ask at once: the second finds what the first asked for.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    under_way = QualityReport.objects.filter(project=project, ready_at=None, job__isnull=False).exclude(job__state__in=ENDED)
    if standing := under_way.select_related("job").first():
        return standing
    report = QualityReport.objects.create(project=project, requested_by=actor)
    report.job = job_queue(
        kind="annotations.quality",
        title=f"Quality of {project.name}",
        payload={"report": report.pk},
        hardware_tag="site",
        actor=actor,
    )
    report.save(update_fields=["job"])
    return report


@transaction.atomic
def quality_publish(*, report: QualityReport, computed: Computed) -> QualityReport:
    report.last_score, report.data, report.ready_at = computed.last_score, computed.data, timezone.now()
    report.headline, report.summary = headline_of(computed.data), summary_of(computed.data)
    report.save()
    kept = QualityReport.objects.filter(project=report.project_id).exclude(ready_at=None).order_by("-pk")[:KEPT]
    QualityReport.objects.filter(project=report.project_id, pk__lt=min(one.pk for one in kept)).delete()
    audit.record(
        actor=report.requested_by,
        action="annotations.quality_computed",
        target=report.project,
        detail={"scores": computed.data["scores"]},
    )
    return report


def headline_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Ordinal α of people's scores (None where nothing was scored twice), and how many scores there were."""
    agreement = data.get("agreement") or []
    return {"alpha": agreement[0]["alpha"] if agreement else None, "scores": data.get("scores") or 0}


def summary_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Agreement, also over time, and a line of each annotator."""
    return {
        "agreement": data.get("agreement") or [],
        "over_time": data.get("over_time") or {"rows": []},
        "annotators": [{name: one.get(name) for name in FIGURES} for one in data.get("annotators") or ()],
    }
