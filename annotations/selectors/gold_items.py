"""Gold items, how people do on them, and items that could become gold."""

from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Left

from annotations.models import Item, Project, Rater, Score

SHOWN_CHARACTERS = 160
# A gold item that so many people have had, and hardly anybody got right, is probably wrong itself.
TOLD_BY, MISSED_BY_ALL = 3, 0.2


@dataclass(frozen=True)
class GoldItem:
    """A gold item, and how people did on it since it was made gold."""

    item: Item
    people: int
    unsure: int
    right: int
    deviation: float | None
    mean: float | None

    @property
    def share(self) -> float | None:
        return self.right / self.people if self.people else None

    @property
    def is_doubtful(self) -> bool:
        return self.people >= TOLD_BY and self.right <= MISSED_BY_ALL * self.people


# A score counts where it was given after the first reference of its item: before, the reference may come from it.
GOLD_FIGURES = """
SELECT item.id, count(score.overall), count(*) FILTER (WHERE score.cannot_verify),
  count(*) FILTER (WHERE abs(score.overall - item.gold_score) <= 0.5),
  avg(score.overall - item.gold_score), avg(score.overall)
FROM annotations_item AS item
JOIN annotations_score AS score ON score.item_id = item.id AND score.withdrawn_at IS NULL
JOIN annotations_rater AS rater ON rater.id = score.rater_id AND rater.kind = 'person'
WHERE item.id = ANY(%(items)s) AND score.given_at >= (
  SELECT min(reference.given_at) FROM annotations_score AS reference
  WHERE reference.item_id = item.id AND reference.metadata @> '{"gold": true}')
AND NOT EXISTS (SELECT FROM annotations_revocation AS one
  WHERE one.lifted_at IS NULL AND (one.rater_id = score.rater_id OR one.rubric_version_id = score.rubric_version_id))
GROUP BY item.id
"""


def gold_item_list(*, project: Project) -> QuerySet[Item]:
    return _short(Item.objects.filter(project=project, gold_score__isnull=False)).order_by("-is_qualification", "position")


def gold_figures(*, items: list[Item]) -> list[GoldItem]:
    """How people did on these gold items, in the order of `items`."""
    with connection.cursor() as run:
        run.execute(GOLD_FIGURES, {"items": [item.pk for item in items]})
        told = {row[0]: row[1:] for row in run.fetchall()}
    return [GoldItem(item, *told.get(item.pk, (0, 0, 0, None, None))) for item in items]


def gold_candidates(*, project: Project, number: int = 50) -> list[Item]:
    """Items whose score is well founded: decided by an adjudicator, then those on which several people agree entirely."""
    ordinary = _short(Item.objects.filter(project=project, gold_score=None, is_open=False))
    decided = list(ordinary.filter(adjudicated_at__isnull=False).order_by("-adjudicated_at")[:number])
    agreed = ordinary.filter(adjudicated_at=None, spread=0, people_scores__gte=2).order_by("-people_scores", "-pk")
    return decided + list(agreed[: number - len(decided)])


def suggested_references(*, items: list[Item]) -> dict[int, Score]:
    """What an adjudicator decided on these items, or one of the scores of those who agree: for the reference and its note."""
    live = Score.objects.counting().filter(item__in=items, rater__kind__in=("person", "adjudicator"), overall__isnull=False)
    found: dict[int, Score] = {}
    for score in live.select_related("rater").order_by("-pk"):
        best = found.get(score.item_id)
        if best is None or _weight(score) > _weight(best):
            found[score.item_id] = score
    return found


def _weight(score: Score) -> tuple[bool, int]:
    return score.rater.kind == Rater.Kind.ADJUDICATOR, len(score.critique)


def _short(items: QuerySet[Item]) -> QuerySet[Item]:
    """Without the long columns, but with the start of what was asked and said."""
    shown = items.defer("prompt", "prompt_text", "answer", "metadata", "search")
    return shown.annotate(asked=Left("prompt_text", SHOWN_CHARACTERS), said=Left("answer", SHOWN_CHARACTERS))
