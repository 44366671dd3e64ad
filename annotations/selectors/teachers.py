"""What pages, API and commands show of teachers."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Aggregate, Count, Exists, OuterRef, Q, QuerySet, Sum

from annotations.models import (
    Item,
    Project,
    Ranking,
    Revocation,
    ScoreCount,
    Teacher,
    TeacherCall,
    TeacherRun,
    TeacherVersion,
)

RUNS_SHOWN = 20
CALLS_SHOWN = 20
EVIDENCE_SHOWN = 20


@dataclass(frozen=True)
class Listed:
    """A teacher with its newest version, and how many live scores and orders of answers its versions have given."""

    teacher: Teacher
    newest: TeacherVersion | None
    scores: int
    rankings: int = 0
    is_revoked: bool = False


def teacher_list() -> list[Listed]:
    """By name."""
    scores = _by_teacher(ScoreCount.objects.all(), Sum("scores"))  # running counts: no score is read
    rankings = _by_teacher(Ranking.objects.filter(withdrawn_at=None), Count("pk"))
    newest = {one.teacher_id: one for one in TeacherVersion.objects.select_related("endpoint", "rater").order_by("number")}
    gone = set(Revocation.objects.in_force().filter(rater__isnull=False).values_list("rater", flat=True))
    return [
        Listed(
            one,
            now := newest.get(one.pk),
            scores.get(one.pk, 0),
            rankings.get(one.pk, 0),
            is_revoked=now is not None and now.rater_id in gone,
        )
        for one in Teacher.objects.all()
    ]


def _by_teacher(rows: QuerySet[Any], counted: Aggregate) -> dict[int, int]:
    """What was counted of rows that have a rater, by the teacher whose versions those are."""
    mine = rows.filter(rater__teacher_version__isnull=False).order_by()
    told = mine.values_list("rater__teacher_version__teacher").annotate(counted)
    return dict(told.values_list("rater__teacher_version__teacher", counted.default_alias))


def revocation_of(version: TeacherVersion | None) -> Revocation | None:
    """The one in force of a version's scores."""
    return version.rater.revocations.in_force().first() if version else None


def runs_of(teacher: Teacher) -> QuerySet[TeacherRun]:
    """The newest first."""
    found = TeacherRun.objects.filter(version__teacher=teacher)
    return found.select_related("version__teacher", "project", "job", "requested_by")


def versions_measured(teacher: Teacher) -> list[TeacherVersion]:
    """Those that were held against people somewhere, the newest first."""
    found = TeacherRun.objects.filter(version=OuterRef("pk"), quality__isnull=False)
    return list(teacher.versions.filter(Exists(found)).select_related("teacher"))


def calls_of(teacher: Teacher) -> QuerySet[TeacherCall]:
    return TeacherCall.objects.filter(run__version__teacher=teacher).select_related(
        "item", "other", "evidence", "run__project", "run__version__teacher"
    )


def evidence_shown(item: Item) -> list[TeacherCall]:
    """The newest calls about an item of which the teacher was shown evidence, one of each version."""
    calls = TeacherCall.objects.filter(Q(item=item) | Q(other=item), evidence__isnull=False)
    newest = calls.order_by("run__version_id", "-pk").distinct("run__version_id")
    return list(newest.select_related("evidence", "run__version__teacher")[:EVIDENCE_SHOWN])


def measured(version: TeacherVersion) -> dict[Project, TeacherRun]:
    """The newest run in each project that held the version's scores against people's."""
    runs = TeacherRun.objects.filter(version=version, quality__isnull=False).order_by("project_id", "-pk").distinct("project_id")
    return {one.project: one for one in runs.select_related("project", "job")}
