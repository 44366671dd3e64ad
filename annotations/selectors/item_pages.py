"""A page of the items that match, fast whatever is asked for.

PostgreSQL has to guess how many items match before it chooses a way to find the first fifty in order: walk an index in that
order and try each item, or collect all that match and sort them. For a rare word it may walk through a million items, for a
common one it may collect half of them, and where conditions hang together (one word of one model) its guess is far off. So
it is not asked to guess:

1. All that match are collected, through the indexes of the conditions, up to 10,001. Fewer: they are sorted, and counted. Where
   one index can tell by itself that there are more, as for “needs scores” alone, it is asked first.
2. There are more: one in a hundred of a million items or more. Then a walk in the wanted order soon has a page together. It
   is given a moment.
3. The walk found too few, because those that match lie at the other end: all of them are collected and sorted after all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, Q, Sum, Value
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext
from psycopg.errors import QueryCanceled

from accounts.models import User
from annotations.models import Item, Progress, Project
from annotations.selectors.item_filter import ItemFilter
from annotations.selectors.item_matches import Items, Order, item_matches

COUNTED_AT_MOST = 10_000
WALK_MS = 100
# A search that no index helps is given up after this.
SEARCH_MS = 8_000
# With more projects than this, nobody walks along the index of each.
WALKED_PROJECTS = 100
# Of an item, in digits: what the database can count to.
LONGEST_NUMBER = 18

Rows = Any  # a queryset of numbers, and ranks where there are any
Found = tuple[int, Any]
Sql = tuple[str, list[Any]]
COLLECTED = """
WITH hits ({columns}) AS MATERIALIZED ({arm}), counted AS (SELECT count(*) AS number FROM hits)
SELECT counted.number, page.* FROM counted LEFT JOIN LATERAL (
  SELECT * FROM hits WHERE {beyond} ORDER BY {ordered} LIMIT %s
) AS page ON true ORDER BY {ordered}
"""
TOLD = "SELECT count(*) FROM ({arm}) AS told"
# Along the index's part for each project.
WALKED = """
SELECT found.* FROM unnest(%s::bigint[]) AS place (project) CROSS JOIN LATERAL ({arm}) AS found ({columns})
ORDER BY {ordered} LIMIT %s
"""
# Collecting: only by bitmaps of the conditions' indexes. Under a LIMIT the planner would rather hope to meet enough matches
# on its way through everything.
COLLECT = {
    "enable_seqscan": "off", "enable_indexscan": "off", "enable_indexonlyscan": "off", "jit": "off", "work_mem": "64MB",
    "max_parallel_workers_per_gather": "0", "statement_timeout": str(SEARCH_MS),
}  # fmt: skip
# Walking: only in order; to sort is what it is to avoid.
WALK = {
    "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off", "jit": "off",
    "max_parallel_workers_per_gather": "0", "statement_timeout": str(WALK_MS),
}  # fmt: skip
# Telling from an index alone, without looking at items.
TELL = {
    "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_indexscan": "off", "jit": "off",
    "max_parallel_workers_per_gather": "0", "statement_timeout": str(WALK_MS),
}  # fmt: skip
# More deleted items than this, and an index that still has them tells little.
MANY_DELETED = 5_000
# From somebody's turns or scores, one by one, to their items.
FROM_PERSON = {"enable_indexscan": "on", "enable_hashjoin": "off", "enable_mergejoin": "off"}
# Who has given more scores than this is quicker found some of them on a walk.
MANY_SCORES = 20_000
# Where no index helps, as with words that must not be there, the planner's own choice is as good as any.
UNAIDED = {"jit": "off", "statement_timeout": str(SEARCH_MS)}


class SearchRefused(ValueError):  # noqa: N818 - reads as what happened
    """The search would take too long; the message says what to ask instead."""


@dataclass(frozen=True)
class Place:
    """Where a page begins: after the item of this rank and number, or before it. Without a rank: by number alone."""

    item: int
    key: Any = None
    backwards: bool = False

    def __str__(self) -> str:
        """As it stands in an address; `place_read` reads it."""
        key = self.key.isoformat() if isinstance(self.key, datetime) else self.key
        return str(self.item) if key is None else f"{key}~{self.item}"


def place_read(*, text: str, wanted: ItemFilter, backwards: bool) -> Place | None:
    """None for what is no place in this order."""
    key, _, number = text.rpartition("~")
    if len(number) > LONGEST_NUMBER:
        return None
    try:
        if not key:
            return None if wanted.sort not in {"", "oldest"} else Place(int(number), None, backwards)
        rank = datetime.fromisoformat(key) if wanted.sort == "recent" else float(key)
        return Place(int(number), rank, backwards)
    except ValueError:
        return None


@dataclass(frozen=True)
class ItemPage:
    """One page of items in order."""

    items: list[int]
    total: int
    # Whether there are more than `total`.
    is_capped: bool
    earlier: Place | None = None
    later: Place | None = None


def item_page(*, wanted: ItemFilter, user: User | None, size: int, place: Place | None = None) -> ItemPage:
    """The numbers of the items on a page, and how many match in all. Raises SearchRefused."""
    try:
        found, total = _Finder(wanted, user, size + 1, place).found()
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise SearchRefused(gettext("This search would take too long: add a word that the items hold, or a filter.")) from error
    rows, more = found[:size], len(found) > size
    backwards = place is not None and place.backwards
    if backwards:
        rows.reverse()
    is_capped = total > COUNTED_AT_MOST and not wanted.is_plain
    return ItemPage(
        items=[pk for pk, _ in rows],
        total=COUNTED_AT_MOST if is_capped else total,
        is_capped=is_capped,
        earlier=Place(*rows[0], backwards=True) if rows and (more if backwards else place is not None) else None,
        later=Place(*rows[-1]) if rows and (backwards or more) else None,
    )


@dataclass(frozen=True)
class _Arm:
    rows: Rows
    # The same without the project, which a walk has to ask for in a way of its own.
    anywhere: Rows
    # The same with deleted items, of which most indexes know nothing.
    told: Rows
    is_personal: bool


class _Finder:
    def __init__(self, wanted: ItemFilter, user: User | None, count: int, place: Place | None) -> None:
        matches = item_matches(wanted=wanted, user=user)
        self._by_project = wanted.project is not None and not _by_scores(matches.order)
        anywhere = item_matches(wanted=replace(wanted, project=None), user=user) if self._by_project else matches
        told = item_matches(wanted=wanted, user=user, with_deleted=True)
        self._arms = [
            _Arm(_ranked(arm.items, matches.order), _ranked(wide.items, matches.order), _bare(bare.items), arm.is_personal)
            for arm, wide, bare in zip(matches.arms, anywhere.arms, told.arms, strict=True)
        ]
        # What no index has whole: words and tags, which are looked up by pieces, and what was deleted.
        self._is_told = not (wanted.text or wanted.tag or wanted.since or wanted.state == "deleted")
        self._is_busy = any(arm.is_personal for arm in matches.arms) and _scores_of(user) > MANY_SCORES
        self._wanted = wanted
        self._count = count
        self._place = place
        self._order = _turned(matches.order) if place and place.backwards else matches.order
        self._settings = UNAIDED if wanted.text and not _has_index(wanted.text) else COLLECT

    def found(self) -> tuple[list[Found], int]:
        """The items of the page, with one more where there are more; and how many match, up to a few above what is counted."""
        if self._wanted.is_plain:
            walked = self._walked(self._arms[0])
            rows = self._collected(self._arms[0], settings=UNAIDED)[0] if walked is None else walked
            return rows, _running_count(self._wanted)
        found: list[Found] = []
        total = 0
        for arm in self._arms:
            of_arm, number = self._of_arm(arm, is_counted=total > COUNTED_AT_MOST)
            found, total = found + of_arm, total + number
        # Twice, the second key first: each has a direction of its own.
        found.sort(key=lambda row: row[0], reverse=self._order.ties_descending)
        if self._order.key is not None:
            found.sort(key=lambda row: row[1], reverse=self._order.descending)
        return found[: self._count], total

    def _of_arm(self, arm: "_Arm", *, is_counted: bool) -> tuple[list[Found], int]:
        # Of somebody's very many scores, some are soon met; and that there are too many to count is known by now.
        if arm.is_personal and self._is_busy and is_counted and (walked := self._walked(arm)) is not None:
            return walked, 0
        if arm.is_personal or not self._is_told or not self._too_many(arm):
            found, total = self._collected(arm, limit=COUNTED_AT_MOST + 1)
            if total <= COUNTED_AT_MOST:
                return found, total
        walked = self._walked(arm)
        return self._collected(arm)[0] if walked is None else walked, COUNTED_AT_MOST + 1

    def _too_many(self, arm: "_Arm") -> bool:
        """Whether an index tells by itself that there are too many to count. False where none can, or does so in time."""
        deleted = Item.every.filter(deleted_at__isnull=False).values_list("pk")[: MANY_DELETED + 1].count()
        if deleted > MANY_DELETED:
            return False
        # So many that not all of them can have been deleted.
        statement, values = _sql(arm.told[: COUNTED_AT_MOST + 1 + deleted])
        try:
            with _planned(TELL), connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
                if not _by_index_only(cursor.fetchone()[0][0]["Plan"]):
                    return False
                cursor.execute(TOLD.format(arm=statement), values)
                return bool(cursor.fetchone()[0] > COUNTED_AT_MOST + deleted)
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            return False

    def _collected(
        self, arm: "_Arm", *, limit: int | None = None, settings: dict[str, str] | None = None
    ) -> tuple[list[Found], int]:
        settings = settings or (self._settings | FROM_PERSON if arm.is_personal else self._settings)
        statement, values = _sql(arm.rows[:limit] if limit else arm.rows)
        beyond, place = self._beyond()
        with _planned(settings), connection.cursor() as cursor:
            cursor.execute(
                COLLECTED.format(columns=self._columns, arm=statement, beyond=beyond, ordered=self._ordered),
                [*values, *place, self._count],
            )
            rows = cursor.fetchall()
        return [_found(row[1:]) for row in rows if row[1] is not None], rows[0][0]

    def _walked(self, arm: "_Arm") -> list[Found] | None:
        """None where it takes too long."""
        found: list[Found] = []
        try:
            with _planned(WALK):
                for part in self._onward():
                    if len(found) < self._count:
                        found += self._met(arm.anywhere.filter(part), self._count - len(found))
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            return None
        return found

    def _met(self, arm: Rows, most: int) -> list[Found]:
        """The first of these in order."""
        projects = self._projects()
        statement, values = _sql(self._ordered_walk(arm, by_project=projects is not None)[:most])
        if projects is not None:
            statement = WALKED.format(columns=self._columns, arm=statement, ordered=self._ordered)
            values = [projects, *values, most]
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return [_found(row) for row in cursor.fetchall()]

    def _ordered_walk(self, arm: Rows, *, by_project: bool) -> Rows:
        order = self._order
        ordered = [] if order.key is None else ["-rank" if order.descending else "rank"]
        ordered.append("-pk" if order.ties_descending else "pk")
        if by_project:
            arm = arm.filter(project_id=RawSQL("place.project", []))
        elif self._by_project and self._wanted.project is not None:
            # Not `=`: the planner would see that the order by project says nothing, and walk all projects instead.
            arm = arm.filter(project__gte=self._wanted.project.pk, project__lte=self._wanted.project.pk)
            ordered.insert(0, "-project_id" if order.project_descending else "project_id")
        return arm.order_by(*ordered)

    def _onward(self) -> list[Q]:
        """What comes after the page's place: the rest of those of the same rank, then all others. Not in one condition: an
        index would begin where the rank does, and a rank can have a hundred thousand items.
        """
        if self._place is None:
            return [Q()]
        further = Q(pk__lt=self._place.item) if self._order.ties_descending else Q(pk__gt=self._place.item)
        if self._order.key is None:
            return [further]
        rank, side = self._place.key, "lt" if self._order.descending else "gt"
        # Again not `=`, for the reason above.
        return [Q(rank__gte=rank, rank__lte=rank) & further, Q(**{f"rank__{side}": rank})]

    def _beyond(self) -> Sql:
        if self._place is None:
            return "true", []
        further = f"id {'<' if self._order.ties_descending else '>'} %s"
        if self._order.key is None:
            return further, [self._place.item]
        side = "<" if self._order.descending else ">"
        return f"(key {side} %s OR (key = %s AND {further}))", [self._place.key, self._place.key, self._place.item]

    def _projects(self) -> list[int] | None:
        """The projects, where the order's index has a part for each."""
        if self._order.key is None or _by_scores(self._order) or self._wanted.project is not None:
            return None
        projects = list(Project.objects.order_by("pk").values_list("pk", flat=True)[: WALKED_PROJECTS + 1])
        return projects if len(projects) <= WALKED_PROJECTS else None

    @property
    def _columns(self) -> str:
        return "id" if self._order.key is None else "id, key"

    @property
    def _ordered(self) -> str:
        down = {True: "DESC", False: "ASC"}
        ties = f"id {down[self._order.ties_descending]}"
        return ties if self._order.key is None else f"key {down[self._order.descending]}, {ties}"


def _ranked(items: Items, order: Order) -> Rows:
    """Numbers, and what the order goes by as `rank`. Named, so that it stays the row which the conditions speak of."""
    if order.key is None:
        return items.order_by().values_list("pk")
    return items.order_by().annotate(rank=F(order.key)).values_list("pk", "rank")


def _bare(items: Items) -> Rows:
    return items.order_by().annotate(one=Value(1)).values_list("one")


def _by_index_only(plan: dict[str, Any]) -> bool:
    """Whether a plan looks at no item."""
    looks = plan.get("Relation Name") == Item._meta.db_table and plan["Node Type"] != "Index Only Scan"
    return not looks and all(map(_by_index_only, plan.get("Plans", [])))


def _by_scores(order: Order) -> bool:
    """Whether the order is one of a person's scores, and not of items."""
    return order.key is not None and order.key.startswith("scores__")


def _turned(order: Order) -> Order:
    return replace(order, descending=not order.descending, ties_descending=not order.ties_descending)


def _found(row: tuple[Any, ...]) -> Found:
    return row[0], row[1] if len(row) > 1 else None


def _sql(rows: Rows) -> Sql:
    statement, params = rows.query.sql_with_params()
    return statement, list(params)


@contextmanager
def _planned(settings: dict[str, str]) -> Iterator[None]:
    """With these settings of the planner, which end with the block: it is rolled back, as it only reads."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
            cursor.execute(f"SELECT {calls}", [text for pair in settings.items() for text in pair])
        yield
        transaction.set_rollback(True)


def _has_index(text: str) -> bool:
    """Whether the words' index helps: it does not know where a word is absent."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT querytree(websearch_to_tsquery('simple', %s)) <> 'T'", [text])
        return bool(cursor.fetchone()[0])


def _scores_of(user: User | None) -> int:
    return Progress.objects.filter(rater__user=user).aggregate(all=Sum("scored"))["all"] or 0 if user else 0


def _running_count(wanted: ItemFilter) -> int:
    projects = Project.objects.filter(pk=wanted.project.pk) if wanted.project else Project.objects.all()
    return projects.aggregate(all=Sum("item_count"))["all"] or 0
