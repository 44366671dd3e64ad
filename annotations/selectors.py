"""What pages, API and commands read about items, scores and datasets."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Left

from accounts.models import User
from annotations.models import DatasetVersion, Flag, Import, Item, Progress, Project, Score, Turn

ITEM_STATES = {
    "": "All",
    "open": "Needs scores",
    "done": "Has its scores",
    "flagged": "Flagged",
    "mine": "Scored by me",
}
# Enough to show that there are more; counting every hit of a broad search would read the whole table.
COUNTED_AT_MOST = 10_000
# Of a prompt or an answer in a list; the cell cuts it to its width.
SHOWN_CHARACTERS = 110


@dataclass(frozen=True)
class ItemFilter:
    """What the items page was asked for."""

    project: Project | None = None
    text: str = ""
    state: str = ""
    source: str = ""


@dataclass(frozen=True)
class ProjectProgress:
    """How far a project is, exact: the sum of the raters' running counts."""

    items: int
    done: int
    scores: int
    mine: int

    @property
    def left(self) -> int:
        return max(0, self.items - self.done)

    @property
    def share(self) -> float | None:
        return self.done / self.items if self.items else None


def item_list(*, wanted: ItemFilter, user: User) -> QuerySet[Item]:
    """Items, newest first, without the long columns."""
    items = Item.objects.defer("prompt", "prompt_text", "answer", "metadata", "search").select_related("project")
    items = items.annotate(asked=Left("prompt_text", SHOWN_CHARACTERS), said=Left("answer", SHOWN_CHARACTERS))
    if wanted.project:
        items = items.filter(project=wanted.project)
    if wanted.source:
        items = items.filter(source_model=wanted.source)
    if wanted.text.strip():
        items = items.filter(search=SearchQuery(wanted.text, config="simple", search_type="websearch"))
    states: dict[str, Any] = {
        "open": Q(is_open=True),
        "done": Q(is_open=False, people_scores__gt=0),
        "flagged": Q(open_flags__gt=0),
        "mine": Q(pk__in=Score.objects.filter(rater__user=user, withdrawn_at=None).values("item")),
    }
    return items.filter(states[wanted.state]) if wanted.state in states else items


def item_count(*, items: QuerySet[Item], wanted: ItemFilter) -> int:
    """How many items match; with a search, at most COUNTED_AT_MOST + 1."""
    if wanted.project and wanted == ItemFilter(project=wanted.project):
        return Project.objects.values_list("item_count", flat=True).get(pk=wanted.project.pk)
    if wanted == ItemFilter():
        return Project.objects.aggregate(all=Sum("item_count"))["all"] or 0
    return items.order_by()[: COUNTED_AT_MOST + 1].count()


# From name to name along the index on (project, source_model): it never reads every item.
SOURCES = """
WITH RECURSIVE walk AS (
  (SELECT source_model FROM annotations_item WHERE project_id = %(project)s AND source_model > '' ORDER BY source_model LIMIT 1)
  UNION ALL
  SELECT (SELECT item.source_model FROM annotations_item AS item
          WHERE item.project_id = %(project)s AND item.source_model > walk.source_model ORDER BY item.source_model LIMIT 1)
  FROM walk WHERE walk.source_model IS NOT NULL
)
SELECT source_model FROM walk WHERE source_model IS NOT NULL LIMIT 200
"""


def source_models(*, project: Project | None) -> list[str]:
    """The models that answered, in a project or in all."""
    projects = [project.pk] if project else list(Project.objects.values_list("pk", flat=True))
    found: set[str] = set()
    with connection.cursor() as cursor:
        for one in projects:
            cursor.execute(SOURCES, {"project": one})
            found |= {name for (name,) in cursor.fetchall()}
    return sorted(found)


@dataclass
class SeenScores:
    """The scores of an item that a person may see, and why there may be more than those."""

    mine: Score | None = None
    others: list[Score] = field(default_factory=list)
    # "" shown, "blind" until they have scored it themselves, "role" not for annotators
    hidden: str = ""

    @property
    def fused(self) -> float | None:
        return _median([score for score in (self.mine, *self.others) if score])


def scores_seen(*, item: Item, user: User) -> SeenScores:
    """Nobody sees others' scores of an item before giving their own, or saying that they will not score it."""
    live = list(Score.objects.filter(item=item, withdrawn_at=None).select_related("rater", "rubric_version"))
    mine = next((score for score in live if score.rater.user_id == user.pk), None)
    others = [score for score in live if score is not mine]
    if not user.has_role("member"):
        return SeenScores(mine, hidden="role" if others else "")
    if others and item.pk in _blind([item], user):
        return SeenScores(mine, hidden="blind")
    return SeenScores(mine, others)


def metadata_seen(*, item: Item, user: User) -> dict[str, Any]:
    """What an item was imported with. The rounds of review in it are others' scores: for those who may see them."""
    may_see = user.has_role("member") and item.pk not in _blind([item], user)
    return item.metadata if may_see else {name: value for name, value in item.metadata.items() if name != "turns"}


@dataclass(frozen=True)
class ShownRewards:
    """What a list shows of its items' scores; `revealed` are the items where that tells others' scores."""

    medians: dict[int, float | None]
    revealed: list[int] = field(default_factory=list)


def shown_rewards(*, items: list[Item], user: User) -> ShownRewards:
    """The median of the live scores of each item, for those items whose scores this person may see."""
    if not user.has_role("member"):
        mine = Score.objects.filter(item__in=items, rater__user=user, withdrawn_at=None)
        return ShownRewards(dict(mine.values_list("item_id", "overall")))
    blind = _blind(items, user)
    scores: dict[int, list[Score]] = {}
    for score in (
        Score.objects.filter(item__in=items, withdrawn_at=None).select_related("rater").only("item_id", "overall", "rater__user")
    ):
        scores.setdefault(score.item_id, []).append(score)
    shown = {item: of_item for item, of_item in scores.items() if item not in blind}
    revealed = [item for item, of_item in shown.items() if any(score.rater.user_id != user.pk for score in of_item)]
    return ShownRewards({item: _median(of_item) for item, of_item in shown.items()}, revealed)


def _blind(items: list[Item], user: User) -> set[int]:
    """The items that this person may still be asked to score, or is about to."""
    states = dict(Turn.objects.filter(item__in=items, rater__user=user).values_list("item_id", "state"))
    settled = (Turn.State.SCORED, Turn.State.REVEALED)
    waiting = {item.pk for item in items if item.is_open or states.get(item.pk) == Turn.State.HELD}
    return {item for item in waiting if states.get(item) not in settled}


def _median(scores: list[Score]) -> float | None:
    values = [score.overall for score in scores if score.overall is not None]
    return float(median(values)) if values else None


def sees_others(*, seen: SeenScores, metadata: dict[str, Any], user: User) -> bool:
    """Whether that tells a person others' scores."""
    return bool(seen.others) or (user.has_role("member") and "turns" in metadata)


def score_history(*, item: Item, user: User) -> QuerySet[Score]:
    """A person's own scores of an item, withdrawn ones too, newest first."""
    return Score.objects.filter(item=item, rater__user=user).select_related("rater").order_by("-id")


def open_flags(*, item: Item | None = None, project: Project | None = None) -> QuerySet[Flag]:
    """The unresolved flags of an item, of a project, or all."""
    flags = Flag.objects.filter(resolved_at=None).select_related("rater")
    flags = flags.filter(item=item) if item else flags
    return flags.filter(item__project=project) if project else flags


def project_list() -> QuerySet[Project]:
    return Project.objects.select_related("rubric_version")


def project_progress(*, project: Project, user: User | None = None) -> ProjectProgress:
    rows = Progress.objects.filter(project=project)
    people = Q(rater__kind="person")
    mine = Q(rater__user=user) if user else Q(pk__in=[])
    sums = rows.aggregate(done=Sum("completed"), scores=Sum("scored", filter=people), mine=Sum("scored", filter=mine))
    items = project.item_count if project.raters_per_item else 0
    return ProjectProgress(items=items, done=sums["done"] or 0, scores=sums["scores"] or 0, mine=sums["mine"] or 0)


def rater_progress(*, project: Project) -> QuerySet[Progress]:
    """Who has scored how much here."""
    return Progress.objects.filter(project=project, scored__gt=0).select_related("rater").order_by("-scored")


def import_list(*, project: Project | None = None) -> QuerySet[Import]:
    imports = Import.objects.select_related("project", "job", "requested_by")
    return imports.filter(project=project) if project else imports


def dataset_list() -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.select_related("project", "job", "requested_by")


def is_held(*, item: Item, user: User) -> bool:
    """Whether a person has the item in front of them."""
    return Turn.objects.filter(item=item, rater__user=user, state=Turn.State.HELD).exists()


def next_project(*, user: User) -> Project | None:
    """The project where this person's scores are wanted: where they scored last, else the first with open items."""
    open_items = Item.objects.filter(project=OuterRef("pk"), is_open=True)
    turns = Turn.objects.filter(project=OuterRef("pk"), rater__user=user).order_by("-updated_at")
    with_work = Project.objects.filter(Exists(open_items), raters_per_item__gt=0)
    latest = with_work.annotate(at=Subquery(turns.values("updated_at")[:1]))
    return latest.order_by(F("at").desc(nulls_last=True), "name").first()


def scoring_projects() -> list[Project]:
    """Projects that ask people for scores."""
    return list(project_list().filter(raters_per_item__gt=0).order_by(F("item_count").desc(), "name"))
