"""Rubric versions, and what was scored under each."""

from dataclasses import dataclass

from django.db.models import Count

from annotations.models import Project, RubricVersion, Score


@dataclass(frozen=True)
class VersionUse:
    """A rubric version, and how many live scores each was given under it."""

    version: RubricVersion
    here: int
    everywhere: int
    projects: list[str]


def rubric_uses(*, project: Project) -> list[VersionUse]:
    """All versions of the rubric that a project is under, newest first."""
    versions = list(RubricVersion.objects.filter(name=project.rubric_version.name).order_by("-version", "-pk"))
    scores = Score.objects.filter(rubric_version__in=versions, withdrawn_at=None)
    all_of: dict[int, int] = dict(scores.order_by().values_list("rubric_version").annotate(Count("pk")))
    here: dict[int, int] = dict(
        scores.filter(item__project=project).order_by().values_list("rubric_version").annotate(Count("pk"))
    )
    used: dict[int, list[str]] = {}
    for name, version in Project.objects.filter(rubric_version__in=versions).values_list("name", "rubric_version"):
        used.setdefault(version, []).append(name)
    return [VersionUse(one, here.get(one.pk, 0), all_of.get(one.pk, 0), used.get(one.pk, [])) for one in versions]
