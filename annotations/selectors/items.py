"""The items page: which items, in what order, how many."""

from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Left

from accounts.models import User
from annotations.models import Item, Project, Score

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
