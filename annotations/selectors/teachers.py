"""What pages, API and commands show of teachers."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from annotations.models import Item, Project, Revocation, Teacher, TeacherCall, TeacherRun, TeacherVersion

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
    counted = Count("versions__rater__scores", filter=Q(versions__rater__scores__withdrawn_at=None))
    scores = dict(Teacher.objects.annotate(scores=counted).values_list("pk", "scores"))
    ranked = Count("versions__rater__rankings", filter=Q(versions__rater__rankings__withdrawn_at=None))
    rankings = dict(Teacher.objects.annotate(rankings=ranked).values_list("pk", "rankings"))
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


def revocation_of(version: TeacherVersion | None) -> Revocation | None:
    """The one in force of a version's scores."""
    return version.rater.revocations.in_force().first() if version else None


def runs_of(teacher: Teacher) -> QuerySet[TeacherRun]:
    found = TeacherRun.objects.filter(version__teacher=teacher).select_related(
        "version__teacher", "project", "job", "requested_by"
    )
    # Said here: what adds up calls forgets the order that runs have by themselves.
    return found.order_by("-pk").annotate(
        questions=Sum("calls__questions"),
        tokens_in=Sum("calls__tokens_in"),
        tokens_out=Sum("calls__tokens_out"),
        cost=Sum("calls__cost"),
        fallbacks=Count("calls", filter=~Q(calls__source=TeacherCall.Source.LIVE)),
        **{f"by_{one}": Count("calls", filter=Q(calls__evidence_source=one)) for one in TeacherCall.EvidenceSource.values},
    )


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
