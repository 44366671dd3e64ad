"""The items page: which items, in what order, how many; and what can be asked for."""

from collections.abc import Sequence

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Left

from annotations.models import BulkAction, Item, Project, Rater
from annotations.selectors.item_filter import ITEM_SORTS, ITEM_STATES, ItemFilter, item_chips, item_filter
from annotations.selectors.item_matches import item_matches
from annotations.selectors.item_pages import COUNTED_AT_MOST, ItemPage, Place, SearchRefused, item_page, place_read

__all__ = [
    "COUNTED_AT_MOST",
    "ITEM_SORTS",
    "ITEM_STATES",
    "ItemFilter",
    "ItemPage",
    "Place",
    "SearchRefused",
    "item_chips",
    "item_filter",
    "item_matches",
    "item_page",
    "item_rows",
    "place_read",
    "skills",
    "source_models",
    "tags",
]

# Of a prompt or an answer in a list; the cell cuts it to its width.
SHOWN_CHARACTERS = 110
# Long, and not for a list.
LONG = ("prompt", "prompt_text", "answer", "metadata", "search", "gold_answers", "gold_note")


def item_rows(*, items: Sequence[int], whole: bool = False) -> list[Item]:
    """These items in this order; without the long columns unless they are wanted `whole`. Deleted ones too."""
    rows: QuerySet[Item] = Item.every.filter(pk__in=items).select_related("project")
    if whole:
        rows = rows.defer("search")
    else:
        rows = rows.defer(*LONG, "project__guidelines")
        rows = rows.annotate(asked=Left("prompt_text", SHOWN_CHARACTERS), said=Left("answer", SHOWN_CHARACTERS))
    found = {row.pk: row for row in rows}
    return [found[pk] for pk in items if pk in found]


# From name to name along an index on project and name: it never reads every item. That a later name is not '' either has to be
# said for an index that leaves that out.
NAMES = """
WITH RECURSIVE walk AS (
  (SELECT {column} AS name FROM annotations_item WHERE project_id = %(project)s AND {column} > '' ORDER BY {column} LIMIT 1)
  UNION ALL
  SELECT (SELECT item.{column} FROM annotations_item AS item
          WHERE item.project_id = %(project)s AND item.{column} > walk.name AND item.{column} > ''
          ORDER BY item.{column} LIMIT 1)
  FROM walk WHERE walk.name IS NOT NULL
)
SELECT name FROM walk WHERE name IS NOT NULL LIMIT 200
"""


def source_models(*, project: Project | None) -> list[str]:
    """The models that answered, in a project or in all."""
    return _names("source_model", project)


def skills(*, project: Project | None) -> list[str]:
    """The skills that items ask for or that people have."""
    had = Rater.objects.exclude(skills=[]).values_list("skills", flat=True)
    return sorted({*_names("skill", project), *(skill for of_one in had for skill in of_one)})


def _names(column: str, project: Project | None) -> list[str]:
    projects = [project.pk] if project else list(Project.objects.values_list("pk", flat=True))
    found: set[str] = set()
    with connection.cursor() as cursor:
        for one in projects:
            cursor.execute(NAMES.format(column=column), {"project": one})
            found |= {name for (name,) in cursor.fetchall()}
    return sorted(found)


# What was put on items lately; and the commonest of those that came otherwise, of which the planner keeps a list.
COMMON_TAGS = """
SELECT unnest(most_common_elems::text::text[]) FROM pg_stats
WHERE schemaname = current_schema() AND tablename = 'annotations_item' AND attname = 'tags' AND most_common_elems IS NOT NULL
LIMIT 100
"""


def tags() -> list[str]:
    """Tags in use, as suggestions: to know them all one would have to read every item."""
    told = BulkAction.objects.filter(action="tag", undone_at=None).values_list("settings__tags", flat=True)[:200]
    with connection.cursor() as cursor:
        cursor.execute(COMMON_TAGS)
        common = {tag for (tag,) in cursor.fetchall()}
    return sorted(common | {tag for of_one in told for tag in of_one or []})
