"""Dawid & Skene's model of a project's scores, for the builds that ask for it."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from annotations.fusion import Agreed
from annotations.models import Project, Rater, Score
from annotations.statistics.consensus import MIN_ITEMS, MIN_RATINGS, Consensus, consensus
from annotations.statistics.ratings import Ratings
from annotations.teacher_versions import Voice, voices

SCORES_AT_ONCE = 10_000
WHY_MEDIAN = {
    Rater.Kind.PERSON: {
        "one score": "one person alone has scored it",
        "few items": f"the model needs {MIN_ITEMS} items with two scores by people who have scored enough",
        "half step": "one of its scores is a half step, which the model does not know",
        "new rater": f"somebody who scored it has given fewer than {MIN_RATINGS} scores that the model can go by",
        "": "no person has scored it under the present rubric, or one has under another",
    },
    Rater.Kind.TEACHER: {
        "one score": "one teacher alone has scored it",
        "few items": f"the model needs {MIN_ITEMS} items with two scores by teachers who have scored enough",
        "half step": "one of the teachers’ scores is a half step, which the model does not know",
        "new rater": f"a teacher who scored it has given fewer than {MIN_RATINGS} scores that the model can go by",
        "": "a teacher has scored it under another rubric",
    },
}


class AgreedScores:
    """What Dawid & Skene's model says of each item of a project, fitted once to its people's (or teachers') live scores.

    It goes by the present version of the rubric: an item that somebody scored under another is left to the median, since the
    same number may not mean the same there. Qualification items are left out: their scores were given while learning.
    """

    def __init__(self, project: Project, *, kind: Rater.Kind = Rater.Kind.PERSON) -> None:
        self._why = WHY_MEDIAN[kind]
        scores = Score.objects.counting().filter(item__project=project, item__is_qualification=False, rater__kind=kind)
        scores = scores.filter(item__deleted_at=None, overall__isnull=False).order_by()
        columns = scores.values_list("item_id", "rater_id", "rubric_version_id", "overall").iterator(SCORES_AT_ONCE)
        rows = np.fromiter(columns, np.dtype("i8,i8,i8,f8"))
        if kind == Rater.Kind.TEACHER and (versions := voices()):
            rows = rows[heard_at(rows["f0"], rows["f1"], versions)]
        elsewhere = np.unique(rows["f0"][rows["f2"] != project.rubric_version_id])
        rows = rows[~np.isin(rows["f0"], elsewhere)]
        self._result: Consensus = consensus(Ratings.of(rows["f0"], rows["f1"], rows["f3"]))

    def of(self, item: int) -> Agreed | None:
        """None where the median stands in for the model."""
        found, place = self._result, self._place(item)
        if place is None or not found.fitted[place]:
            return None
        return Agreed(float(found.score[place]), float(found.expected[place]), float(found.disagreement[place]))

    def why_median(self, item: int) -> str:
        """Why the median stands in for the model, in words."""
        place = self._place(item)
        return self._why["" if place is None else self._result.reason(place)]

    def _place(self, item: int) -> int | None:
        place = int(np.searchsorted(self._result.item, item))
        return place if place < self._result.item.size and self._result.item[place] == item else None


def heard_at(item: npt.NDArray[np.int64], rater: npt.NDArray[np.int64], versions: Mapping[int, Voice]) -> npt.NDArray[np.bool_]:
    """`teacher_versions.heard` for many items at once: which scores, given as items and raters of one length, are heard."""
    known = np.isin(rater, list(versions))
    where = np.flatnonzero(known)
    teacher, number = np.array([versions[int(one)] for one in rater[where]], dtype=np.int64).reshape(-1, 2).T
    order = np.lexsort((-number, teacher, item[where]))
    items, teachers = item[where][order], teacher[order]
    first = np.ones(where.size, dtype=bool)
    first[1:] = (items[1:] != items[:-1]) | (teachers[1:] != teachers[:-1])
    found = ~known
    found[where[order[first]]] = True
    return found
