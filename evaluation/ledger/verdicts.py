"""What was made of a teacher's verdicts that are nobody's scores: runs with it as reward, datasets of loops that it judged."""

from collections.abc import Iterable

from django.db.models import Q

from annotations.models import DatasetVersion, Rater, TeacherVersion
from evaluation.self_rewarding.services import PIPELINE_KIND
from jobs.models import Pipeline

NOTHING = Q(pk__in=[])


def versions_of(raters: Iterable[int]) -> dict[int, TeacherVersion]:
    """By rater, of those that are a teacher's version of this site."""
    return {one.rater_id: one for one in TeacherVersion.objects.filter(rater__in=list(raters)).select_related("teacher")}


def rewarded_by(rater: Rater) -> Q:
    """The runs whose reward asks this version of a teacher; none for anybody else."""
    version = versions_of([rater.pk]).get(rater.pk)
    return reward_is(version) if version else NOTHING


def reward_is(version: TeacherVersion) -> Q:
    part = {"kind": "teacher", "teacher": version.teacher.name, "version": version.number}
    return Q(spec__reward__parts__contains=[part])


def judged_by(version: TeacherVersion) -> dict[int, str]:
    """The dataset versions of loops that it judged, with the names of these loops."""
    loops = Pipeline.objects.filter(kind=PIPELINE_KIND, payload__settings__judge=f"teacher:{version}")
    named = {one.get("dataset"): loop.name for loop in loops for one in loop.payload["rounds"]}
    made = DatasetVersion.objects.ready().filter(name__in=[name for name in named if name])
    return {pk: named[name] for pk, name in made.values_list("pk", "name")}
