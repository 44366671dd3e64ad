"""What the people page reads: the newest quality reports, and counts of scores; never the scores themselves."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from annotations.models import Project, QualityReport, Rater
from annotations.selectors.revocations import outdated, revocations_told
from annotations.selectors.rollups import Counted, Spread, counted_by_project, counted_by_rater, grouped, revoked_counts
from annotations.statistics.ratings import reading
from dashboards.recent import lately, shared
from jobs.figures import Measured
from jobs.models import ENDED

# More lines than these can hardly be told apart; the table behind a chart has them all.
LINES_AT_MOST = 6
GOING = Q(ready_at=None, job__isnull=False) & ~Q(job__state__in=ENDED)


@dataclass(frozen=True)
class Agreed:
    """How far people agree in a project, by its newest report; `alpha` and `reading` say nothing where there is none.

    `scores` are people's live scores now, `revoked` besides these the live ones that count for nothing; `counted` those that were
    there when the report was computed, and `is_outdated` says that some were revoked, or came back, since.
    """

    project: Project
    scores: int
    counted: int
    computed_at: datetime | None
    alpha: Measured
    reason: str
    reading: str
    items: int
    job: int | None
    revoked: int = 0
    is_outdated: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody who scores, with their figures in the newest report (None: not in it) and their scores now; `revoked` live ones
    count for nothing and are not in `spread`.
    """

    rater: int
    name: str
    spread: Spread
    figures: Mapping[str, Any] | None
    revoked: int = 0

    @property
    def bias(self) -> Measured:
        return _figure(self.figures["bias"]) if self.figures else Measured(None)

    @property
    def kappa(self) -> Measured:
        return _figure(self.figures["kappa"]) if self.figures else Measured(None)

    @property
    def gold(self) -> Measured:
        return _figure(self.figures["gold_exact"]) if self.figures else Measured(None)

    @property
    def signals(self) -> list[str]:
        return [one["text"] for one in self.figures["signals"]] if self.figures else []


@dataclass(frozen=True)
class People:
    """One project's people. `report` is the summary of its newest quality report, and `number` that report's; {} and None where
    there is none.
    """

    project: Project
    number: int | None
    report: Mapping[str, Any]
    people: list[Person]


@shared
def agreements() -> list[Agreed]:
    """Each project that people score in, those with the most scores first."""
    counts = {one.by: one.scores for one in counted_by_project(kind=Rater.Kind.PERSON)}
    latest = _latest()
    going = dict(QualityReport.objects.filter(GOING).values_list("project_id", "job_id"))
    revoked: Counter[int] = Counter()
    told = revocations_told()
    for one in revoked_counts(kind=Rater.Kind.PERSON) if any(each.is_in_force for each in told) else ():
        revoked[one.project] += one.scores
    old = outdated({pk: row["ready_at"] for pk, row in latest.items()}, told)
    wanted = Project.objects.filter(pk__in={*counts, *latest, *revoked}).only("name", "slug")
    found = [
        replace(
            _agreed(one, counts.get(one.pk, 0), latest.get(one.pk), going.get(one.pk)),
            revoked=revoked[one.pk],
            is_outdated=one.pk in old,
        )
        for one in wanted
    ]
    return sorted(found, key=lambda one: (-one.scores, one.project.name))


def is_computing() -> bool:
    """Whether a page is to be followed. Shared with nobody: what was read a moment before somebody asks would still it."""
    return QualityReport.objects.filter(GOING | Q(job__finished_at__gt=lately())).exists()


def _latest() -> dict[int, Mapping[str, Any]]:
    ready = QualityReport.objects.exclude(ready_at=None).order_by("project_id", "-pk").distinct("project_id")
    return {row["project_id"]: row for row in ready.values("project_id", "ready_at", "headline")}


def _agreed(project: Project, scores: int, row: Mapping[str, Any] | None, job: int | None) -> Agreed:
    headline = row["headline"] if row else {}
    alpha = headline.get("alpha") or {"value": None, "interval": None, "items": 0, "reason": ""}
    return Agreed(
        project=project,
        scores=scores,
        counted=headline.get("scores") or 0,
        computed_at=row["ready_at"] if row else None,
        alpha=_figure(alpha),
        reason=alpha.get("reason") or "",
        reading=reading(alpha) if row else "",
        items=alpha.get("items") or 0,
        job=job,
    )


def _figure(found: Mapping[str, Any]) -> Measured:
    interval = found.get("interval") or {}
    return Measured(found.get("value"), interval.get("low"), interval.get("high"))


@shared
def people_of(wanted: Project, *, any_revoked: bool = True) -> People:
    """Everybody who scores in a project, most scores first; `any_revoked`: whether to look for revoked scores."""
    project = wanted.pk
    ready = QualityReport.objects.filter(project=project).exclude(ready_at=None).order_by("-pk")
    number, report = ready.values_list("pk", "summary").first() or (None, {})
    figures = {one["rater"]: one for one in report.get("annotators") or ()}
    by_rater = grouped(counted_by_rater(project=project))
    gone = revoked_counts(project=project, kind=Rater.Kind.PERSON) if any_revoked else []
    revoked = {one.rater: one.scores for one in gone}
    names = dict(Rater.objects.filter(pk__in={*figures, *by_rater, *revoked}).values_list("pk", "name"))
    people = [
        Person(pk, name, Spread.of(by_rater.get(pk, ())), figures.get(pk), revoked.get(pk, 0)) for pk, name in names.items()
    ]
    people.sort(key=lambda one: (-one.spread.scores, one.name))
    return People(wanted, number, report, people)


BIASES = """
SELECT jsonb_path_query_array(data, '$.annotators[*] ? (@.rater == $raters[*])', jsonb_build_object('raters', %s::jsonb))
  FROM annotations_qualityreport WHERE id = %s
"""


@shared
def bias_weeks(report: int, raters: tuple[int, ...]) -> dict[int, list[dict[str, Any]]]:
    """How far above or below the others some people were in each stretch of time, by a quality report, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(BIASES, [json.dumps(raters), report])
        row = cursor.fetchone()
    return {one["rater"]: one["over_time"]["rows"] for one in (json.loads(row[0]) if row else ())}


@shared
def weeks_of(project: int, raters: tuple[int, ...]) -> list[Counted]:
    """What some people gave in a project, by week."""
    return counted_by_rater(project=project, raters=raters, weekly=True)


def shown_people(found: People, chosen: Sequence[str]) -> list[Person]:
    """Those whose lines are drawn: the chosen by name, or those with the most scores."""
    picked = [one for one in found.people if one.name in chosen]
    return (picked or found.people)[:LINES_AT_MOST]
