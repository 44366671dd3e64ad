"""How many scores there are, of what and by whom: read from the counts, so as fast with a million scores as with ten.

Revoked scores are in none of these, but where the name says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import QuerySet, Sum

from annotations.models import Rater, ScoreCount

SCORES = (-2, -1, 0, 1, 2)


@dataclass(frozen=True)
class Counted:
    """Scores of one kind. `by`: of whom or what; `score` is a whole one, None where it could not be verified."""

    by: Any
    week: date | None
    score: int | None
    scores: int
    total: float


@dataclass(frozen=True)
class Spread:
    """How scores lie. `unverified` are not among `scores`; `mean` is of the scores as given, None without any."""

    given: dict[int, int]
    unverified: int
    scores: int
    mean: float | None

    @staticmethod
    def of(rows: Iterable[Counted]) -> "Spread":
        given, unverified, total = dict.fromkeys(SCORES, 0), 0, 0.0
        for one in rows:
            if one.score is None:
                unverified += one.scores
            else:
                given[one.score] += one.scores
                total += one.total
        scores = sum(given.values())
        return Spread(given, unverified, scores, total / scores if scores else None)


def counted_by_rater(
    *, project: int | None = None, kind: str = Rater.Kind.PERSON, raters: Sequence[int] | None = None, weekly: bool = False
) -> list[Counted]:
    """Scores by rater (and week), of one project or of all, of some raters or of all."""
    rows = _chosen(project).filter(rater__isnull=False, kind=kind)
    return _counted(rows if raters is None else rows.filter(rater__in=raters), "rater_id", weekly=weekly)


def counted_by_model(*, project: int | None = None, kind: str = Rater.Kind.PERSON, weekly: bool = False) -> list[Counted]:
    """Scores by the model whose answers they are of (and week); "" where nobody named one."""
    return _counted(_chosen(project).filter(source_model__isnull=False, kind=kind), "source_model", weekly=weekly)


def counted_by_kind(*, project: int | None = None, source_model: str | None = None, weekly: bool = False) -> list[Counted]:
    """Scores by kind of rater (and week), of one model's answers or of all."""
    rows = _chosen(project).filter(source_model__isnull=False)
    return _counted(rows if source_model is None else rows.filter(source_model=source_model), "kind", weekly=weekly)


def counted_by_project(*, kind: str = Rater.Kind.PERSON) -> list[Counted]:
    """Scores by project, whatever they are: of each project one row."""
    rows = _chosen(None).filter(source_model__isnull=False, kind=kind).values("project_id")
    found = rows.annotate(n=Sum("scores"), sum=Sum("total")).exclude(n=0).order_by("project_id")
    return [Counted(one["project_id"], None, None, one["n"], float(one["sum"])) for one in found]


def counted_by_model_and_kind(*, project: int | None = None) -> list[Counted]:
    """Scores by (model, kind of rater)."""
    rows = _chosen(project).filter(source_model__isnull=False).values("source_model", "kind", "score")
    found = rows.annotate(n=Sum("scores"), sum=Sum("total")).exclude(n=0).order_by("source_model", "kind", "score")
    return [Counted((one["source_model"], one["kind"]), None, one["score"], one["n"], float(one["sum"])) for one in found]


@dataclass(frozen=True)
class RevokedCount:
    """How many live scores of a rater in a project are revoked: as theirs, or with the rubric version that they are under."""

    project: int
    rater: int
    kind: str
    scores: int


def revoked_counts(*, project: int | None = None, kind: str | None = None) -> list[RevokedCount]:
    """By project and rater; on most sites there are none."""
    rows = ScoreCount.objects.filter(is_revoked=True, rater__isnull=False)
    rows = rows if project is None else rows.filter(project=project)
    rows = rows if kind is None else rows.filter(kind=kind)
    found = (
        rows.values("project_id", "rater_id", "kind").annotate(n=Sum("scores")).exclude(n=0).order_by("project_id", "rater_id")
    )
    return [RevokedCount(one["project_id"], one["rater_id"], one["kind"], one["n"]) for one in found]


def grouped(rows: Iterable[Counted]) -> dict[Any, list[Counted]]:
    """What was counted, by whom or what it is of."""
    found: dict[Any, list[Counted]] = {}
    for one in rows:
        found.setdefault(one.by, []).append(one)
    return found


def _chosen(project: int | None) -> "QuerySet[ScoreCount]":
    counting = ScoreCount.objects.filter(is_revoked=False)
    return counting if project is None else counting.filter(project=project)


def _counted(rows: "QuerySet[ScoreCount]", by: str, *, weekly: bool) -> list[Counted]:
    keys = (by, "week", "score") if weekly else (by, "score")
    found = rows.values(*keys).annotate(n=Sum("scores"), sum=Sum("total")).exclude(n=0).order_by(*keys)
    return [Counted(one[by], one.get("week"), one["score"], one["n"], float(one["sum"])) for one in found]
