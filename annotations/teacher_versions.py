"""Where two versions of one teacher have scored an item, the newer one speaks for the teacher: a slot has one voice."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from django.db.models import Count

from annotations.models import TeacherVersion

Voice = tuple[int, int]
"""A teacher's id, and the number of its version."""
T = TypeVar("T")


def voices() -> dict[int, Voice]:
    """By rater, of those teachers that have several versions; of the others nothing can be said twice."""
    several = TeacherVersion.objects.order_by().values("teacher").annotate(versions=Count("pk")).filter(versions__gt=1)
    found = TeacherVersion.objects.filter(teacher__in=several.values("teacher"))
    return {rater: (teacher, number) for rater, teacher, number in found.values_list("rater_id", "teacher_id", "number")}


def heard(scores: Iterable[tuple[int, T]], versions: Mapping[int, Voice]) -> list[T]:
    """Of one item's scores, by rater, all but those of a version where a newer one of the same teacher has scored it too."""
    given = list(scores)
    newest: dict[int, int] = {}
    for rater, _ in given:
        if rater in versions:
            teacher, number = versions[rater]
            newest[teacher] = max(number, newest.get(teacher, 0))
    return [one for rater, one in given if rater not in versions or newest[versions[rater][0]] == versions[rater][1]]
