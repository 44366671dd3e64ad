"""Dawid & Skene's model of a project's scores, for the builds that ask for it."""

import numpy as np

from annotations.fusion import Agreed
from annotations.models import Project, Rater, Score
from annotations.statistics.consensus import Consensus, consensus
from annotations.statistics.ratings import Ratings

SCORES_AT_ONCE = 10_000


class AgreedScores:
    """What Dawid & Skene's model says of each item of a project, fitted once to its people's live scores.

    It goes by the present version of the rubric: an item that somebody scored under another is left to the median, since the
    same number may not mean the same there. Qualification items are left out: their scores were given while learning.
    """

    def __init__(self, project: Project) -> None:
        scores = Score.objects.live().filter(item__project=project, item__is_qualification=False, rater__kind=Rater.Kind.PERSON)
        scores = scores.filter(item__deleted_at=None, overall__isnull=False).order_by()
        columns = scores.values_list("item_id", "rater_id", "rubric_version_id", "overall").iterator(SCORES_AT_ONCE)
        rows = np.fromiter(columns, np.dtype("i8,i8,i8,f8"))
        elsewhere = np.unique(rows["f0"][rows["f2"] != project.rubric_version_id])
        rows = rows[~np.isin(rows["f0"], elsewhere)]
        self._result: Consensus = consensus(Ratings.of(rows["f0"], rows["f1"], rows["f3"]))

    def of(self, item: int) -> Agreed | None:
        """None where the median stands in for the model."""
        found = self._result
        place = int(np.searchsorted(found.item, item))
        if place >= found.item.size or found.item[place] != item or not found.fitted[place]:
            return None
        return Agreed(float(found.score[place]), float(found.expected[place]), float(found.disagreement[place]))
