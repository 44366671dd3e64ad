"""A teacher version's scores held against the people of a project: reads the scores, and has `annotations.statistics` reckon."""

from dataclasses import asdict
from typing import Any

import numpy as np
from django.db.models.functions import Length

from annotations.models import Item, Project, Rater, Score, TeacherVersion, revoked
from annotations.statistics.alternative import alternative_annotator_test
from annotations.statistics.prediction_powered import debiased_mean
from annotations.statistics.ratings import Ratings
from annotations.statistics.teachers import teacher_quality

NAN = float("nan")


def quality_of(version: TeacherVersion, project: Project) -> dict[str, Any]:
    """`quality`, `alternative` (the alternative annotator test) and `mean` (prediction-powered), as plain values.

    Live scores under the project's present rubric; qualification items are left out, for people learnt on them.
    """
    rated = Score.objects.live().filter(item__project=project, item__deleted_at=None, rubric_version=project.rubric_version_id)
    rated = rated.filter(overall__isnull=False, item__is_qualification=False).order_by()
    mine = {item: float(value or 0) for item, value in rated.filter(rater=version.rater).values_list("item", "overall")}
    given = list(rated.exclude(revoked()).filter(rater__kind=Rater.Kind.PERSON).values_list("item", "rater", "overall"))
    people = Ratings.of(*(np.array([row[place] for row in given]) for place in range(3)))
    by_item: dict[int, list[float]] = {}
    for item, _, value in given:
        by_item.setdefault(item, []).append(float(value or 0))
    medians = {item: float(np.median(values)) for item, values in by_item.items()}
    items = sorted({*mine, *medians})
    about = {pk: (size, source) for pk, size, source in _about(project) if pk in mine or pk in medians}
    both = [one for one in items if one in mine and one in medians]
    quality = teacher_quality(
        [medians.get(one, NAN) for one in items],
        [mine.get(one, NAN) for one in items],
        [about[one][0] for one in items],
        [about[one][1] for one in items],
    )
    alternative = alternative_annotator_test(people, list(mine), list(mine.values()))
    only = [value for item, value in mine.items() if item not in medians]
    mean = debiased_mean([medians[one] for one in both], [mine[one] for one in both], only)
    return {"quality": asdict(quality), "alternative": asdict(alternative), "mean": asdict(mean)}


def _about(project: Project) -> Any:
    return Item.objects.filter(project=project).order_by().values_list("pk", Length("answer"), "source_model").iterator(10_000)
