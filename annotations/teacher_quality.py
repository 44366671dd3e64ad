"""A teacher version's scores and orders held against those of a project's people: reads them, and has `annotations.statistics`
reckon.
"""

from collections.abc import Hashable
from dataclasses import asdict
from typing import Any

import numpy as np
from django.db.models import Count, Q
from django.db.models.functions import Length

from annotations.models import Item, Project, Ranking, Rater, Score, TeacherCall, TeacherVersion, revoked
from annotations.statistics.alternative import alternative_annotator_test
from annotations.statistics.pairwise import PairwiseQuality, Prompt, pairwise_quality
from annotations.statistics.prediction_powered import debiased_mean
from annotations.statistics.ratings import Ratings
from annotations.statistics.teachers import teacher_quality

NAN = float("nan")
STAND_INS = (TeacherCall.Source.FALLBACK, TeacherCall.Source.RULES)


def quality_of(version: TeacherVersion, project: Project) -> dict[str, Any]:
    """`quality`, `alternative` (the alternative annotator test) and `mean` (prediction-powered), as plain values; `rankings` of a
    version that has compared answers, else None.

    Live scores under the project's present rubric; qualification items are left out, for people learnt on them. What a stand-in
    scored in the version's name (`stood_in` of them) says nothing of the version, and is left out too.
    """
    rated = Score.objects.live().filter(item__project=project, item__deleted_at=None, rubric_version=project.rubric_version_id)
    rated = rated.filter(overall__isnull=False, item__is_qualification=False).order_by()
    scored = list(rated.filter(rater=version.rater).values_list("item", "overall", "metadata__source"))
    mine = {item: float(value or 0) for item, value, source in scored if source not in STAND_INS}
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
    rankings = rankings_quality(version, project)
    return {
        "quality": asdict(quality),
        "alternative": asdict(alternative),
        "mean": asdict(mean),
        "stood_in": len(scored) - len(mine),
        "rankings": asdict(rankings) if rankings else None,
    }


def rankings_quality(version: TeacherVersion, project: Project) -> PairwiseQuality | None:
    """Of orders under the project's present rubric, each rater's latest of a prompt; None where the version has given none."""
    live = Ranking.objects.filter(
        item__project=project, item__deleted_at=None, rubric_version=project.rubric_version_id, withdrawn_at=None
    )
    columns = ("item__prompt_hash", "rater", "shown", "ranks")
    mine = live.filter(rater=version.rater).order_by("given_at", "pk").values_list(*columns)
    teacher = {prompt: dict(zip(shown, ranks, strict=True)) for prompt, _, shown, ranks in mine}
    if not teacher:
        return None
    people: dict[str, dict[Hashable, dict[int, int]]] = {}
    given = live.exclude(revoked()).filter(rater__kind=Rater.Kind.PERSON).order_by("given_at", "pk").values_list(*columns)
    for prompt, rater, shown, ranks in given.iterator(5000):
        people.setdefault(prompt, {})[rater] = dict(zip(shown, ranks, strict=True))
    calls = TeacherCall.objects.filter(run__version=version, run__project=project, consistent__isnull=False)
    told = calls.aggregate(asked=Count("pk"), alike=Count("pk", filter=Q(consistent=True)))
    prompts = [Prompt(teacher.get(one), people.get(one, {})) for one in sorted({*teacher, *people})]
    return pairwise_quality(prompts, consistent=told["alike"], asked_twice=told["asked"])


def _about(project: Project) -> Any:
    return Item.objects.filter(project=project).order_by().values_list("pk", Length("answer"), "source_model").iterator(10_000)
