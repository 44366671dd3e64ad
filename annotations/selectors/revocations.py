"""What is revoked among what a page, or a file, shows; and what was reckoned before somebody's scores went, or came back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from annotations.models import Item, Project, Ranking, Revocation, RubricVersion, Score, ScoreCount, revoked


def revoked_among(items: Iterable[Item | int]) -> frozenset[int]:
    """The scores of these items, by number, that count for nothing now."""
    return frozenset(Score.objects.live().filter(revoked(), item__in=list(items)).values_list("pk", flat=True))


def rubric_revocation(version: RubricVersion) -> Revocation | None:
    """The one in force by which nothing counts that is scored under a rubric version."""
    return version.revocations.in_force().first()


def revoked_rankings(rankings: Iterable[Ranking]) -> frozenset[int]:
    """Of these rankings, by number, those that count for nothing now."""
    numbers = [one.pk for one in rankings]
    return frozenset(Ranking.objects.filter(revoked(), pk__in=numbers).values_list("pk", flat=True))


def revocations_told() -> list[Revocation]:
    """All there were, lifted ones too: they are few."""
    return list(Revocation.objects.select_related("rubric_version").defer("rubric_version__data", "reason"))


def outdated(computed: Mapping[int, datetime], told: Sequence[Revocation]) -> set[int]:
    """Of projects, by when their figures were computed: those in which scores were revoked, or came back, since. Of a rubric
    version that is so in every project whose rubric has its name.
    """
    oldest = min(computed.values(), default=None)
    changed = [(one, max(one.revoked_at, one.lifted_at or one.revoked_at)) for one in told]
    changes = [(one, at) for one, at in changed if oldest is not None and at > oldest]
    raters = [one.rater_id for one, _ in changes if one.rater_id]
    rubrics = {one.rubric_version.name for one, _ in changes if one.rubric_version}
    touched: dict[object, set[int]] = {}
    here = ScoreCount.objects.filter(rater__in=raters, project__in=computed).values_list("rater", "project").distinct()
    for rater, project in here if raters else ():
        touched.setdefault(rater, set()).add(project)
    of_rubrics = Project.objects.filter(pk__in=computed, rubric_version__name__in=rubrics)
    for name, project in of_rubrics.values_list("rubric_version__name", "pk") if rubrics else ():
        touched.setdefault(name, set()).add(project)
    return {
        project
        for one, at in changes
        for project in touched.get(one.rubric_version.name if one.rubric_version else one.rater_id, ())
        if at > computed[project]
    }
