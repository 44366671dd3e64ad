"""How much teachers count beside each other."""

from collections.abc import Iterable

from annotations.models import TeacherVersion


def teacher_weights(raters: Iterable[int] | None = None) -> dict[str, float]:
    """The weight of each teacher by the name of its versions' raters (of these, or all). Imported teachers have none."""
    versions = TeacherVersion.objects.order_by()
    versions = versions if raters is None else versions.filter(rater__in=list(raters))
    return dict(versions.values_list("rater__name", "teacher__weight"))
