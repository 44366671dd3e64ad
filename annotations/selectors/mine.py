"""What one person has given, and how they get on: for themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, FloatField, Q, Value
from django.utils import timezone

from accounts.models import User
from annotations.models import Item, Project, Ranking, Score, Turn

SCORE, RANKING = "score", "ranking"


@dataclass(frozen=True)
class OwnScore:
    """A score or a ranking that stands, with the versions before it, newest first."""

    kind: str
    one: Score | Ranking
    earlier: list[Score | Ranking] = field(default_factory=list)
    # Whether it can still be changed: not once they have been shown others' scores, or the item is gone.
    may_change: bool = True

    @property
    def item(self) -> Item:
        return self.one.item


def mine_list(*, user: User, project: Project | None = None) -> Any:
    """What stands of a person's scores and rankings, newest first: a query of rows for `mine_shown`, by the page."""
    of_project = Q(item__project=project) if project else Q()
    columns = ("given_at", "pk", "kind")
    scores = Score.objects.filter(of_project, rater__user=user, withdrawn_at=None).annotate(kind=Value(SCORE)).values(*columns)
    rankings = (
        Ranking.objects.filter(of_project, rater__user=user, withdrawn_at=None).annotate(kind=Value(RANKING)).values(*columns)
    )
    return scores.union(rankings, all=True).order_by("-given_at", "-pk")


def mine_shown(*, rows: Sequence[dict[str, Any]], user: User) -> list[OwnScore]:
    """These rows of `mine_list`, with what a page shows of each."""
    related = ("item__project", "rater", "rubric_version")
    found: dict[tuple[str, int], Score | Ranking] = {}
    earlier: dict[tuple[str, int], list[Score | Ranking]] = {}
    for kind, model in ((SCORE, Score), (RANKING, Ranking)):
        wanted = [row["pk"] for row in rows if row["kind"] == kind]
        # Through _base_manager an item that was deleted is found too.
        for one in model._default_manager.filter(pk__in=wanted).select_related(*related) if wanted else ():
            found[kind, one.pk] = one
        items = [one.item_id for (of_kind, _), one in found.items() if of_kind == kind]
        older = model._default_manager.filter(item__in=items, rater__user=user).exclude(withdrawn_at=None)
        for one in older.select_related(*related).order_by("-pk") if items else ():
            earlier.setdefault((kind, one.item_id), []).append(one)
    items = [one.item_id for one in found.values()]
    seen = set(Turn.objects.filter(item__in=items, rater__user=user, state=Turn.State.REVEALED).values_list("item_id", flat=True))
    keys = [(row["kind"], row["pk"]) for row in rows]
    return [
        OwnScore(
            kind,
            found[kind, pk],
            earlier.get((kind, found[kind, pk].item_id), []),
            may_change=found[kind, pk].item_id not in seen and found[kind, pk].item.deleted_at is None,
        )
        for kind, pk in keys
        if (kind, pk) in found
    ]


def mine_of(*, item: Item, user: User) -> OwnScore | None:
    """What stands of a person's on one item; None where they have given nothing."""
    for kind, model in ((SCORE, Score), (RANKING, Ranking)):
        one = model._default_manager.filter(item=item, rater__user=user, withdrawn_at=None).values("pk").first()
        if one:
            return mine_shown(rows=[{"kind": kind, "pk": one["pk"]}], user=user)[0]
    return None


class Median(Aggregate):
    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class OwnProgress:
    """How much somebody has done; for nobody but them."""

    project: Project | None
    today: int
    week: int
    total: int
    # Of time at one item; None where none was noted.
    median_seconds: float | None


def own_progress(*, user: User, now: datetime | None = None) -> list[OwnProgress]:
    """All together first (`project` None), then each project in which they have done something, the busiest this week first.

    Days begin at midnight of the site's time zone, weeks on Monday.
    """
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    week = today - timedelta(days=today.weekday())
    counts = {
        "today": Count("pk", filter=Q(given_at__gte=today)),
        "week": Count("pk", filter=Q(given_at__gte=week)),
        "total": Count("pk"),
        "median": Median("seconds"),
    }
    projects = Project.objects.in_bulk()
    found: list[OwnProgress] = []
    whole: list[dict[str, Any]] = []
    for model in (Score, Ranking):
        live = model._default_manager.filter(rater__user=user, withdrawn_at=None).order_by()
        whole.append(live.aggregate(**counts))
        by_project: Any = live.values("item__project").annotate(**counts)
        found += [_progress(projects[row["item__project"]], [row]) for row in by_project]
    return [_progress(None, whole), *sorted(found, key=lambda one: (-one.week, -one.total))]


def _progress(project: Project | None, rows: Sequence[dict[str, Any]]) -> OwnProgress:
    today, week, total = (sum(row[name] for row in rows) for name in ("today", "week", "total"))
    # Of two medians none is the median of both; the one of what they do more of says most.
    times = [(row["total"], row["median"]) for row in rows if row["median"] is not None]
    return OwnProgress(project, today, week, total, max(times)[1] if times else None)
