"""Gold items: items whose right score is known, handed out among the others to see how people judge.

Not to be confused with gold answers, which are texts: `services.gold` scores by those.
"""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Item, Project, Rater, Score, Turn
from annotations.rubric import HIGHEST, LOWEST
from annotations.services.comparing import comparisons_open
from annotations.services.opening import completed_add
from annotations.services.raters import adjudicator_rater
from annotations.services.turns import storable

# Marks the scores that are references, among those by adjudicators.
GOLD = {"gold": True}
# Whose reference it is where nobody is named.
SHELL = "shell"


class GoldRefused(ValueError):  # noqa: N818 - reads as what happened
    """This cannot be a gold item; the message says why."""


@transaction.atomic
def gold_set(*, item: Item, score: float, note: str, qualification: bool, actor: User | None) -> Item:
    """Make an item gold, or change its reference. It leaves the queue; scores that people gave stay.

    Its reference is also a score by an adjudicator, with the note as its critique. Raises GoldRefused.
    """
    if not LOWEST <= score <= HIGHEST:
        raise GoldRefused(f"The right score lies between {LOWEST} and {HIGHEST}.")
    project, item = gold_locked(item=item)
    if project.mode == Project.Mode.COMPARE:
        raise GoldRefused("This project compares answers; gold items are for projects that score them.")
    note = storable(note)
    is_new = item.gold_score is None
    if is_new:
        _count(project, item, +1)
        # Whoever has it in front of them may still submit; nobody waits for them.
        Turn.objects.filter(item=item, state__in=(Turn.State.HELD, Turn.State.ASSIGNED)).delete()
    item.gold_score, item.gold_note, item.is_qualification, item.is_open = score, note, qualification, False
    item.save(update_fields=["gold_score", "gold_note", "is_qualification", "is_open"])
    _refer(item, project, adjudicator_rater(name=actor.username if actor else SHELL))
    detail: dict[str, object] = {"score": score, "qualification": qualification}
    audit.record(actor=actor, action="annotations.gold_item_set", target=item, detail=detail)
    return item


@transaction.atomic
def gold_clear(*, item: Item, actor: User | None) -> Item:
    """Make a gold item an ordinary one again: open, where it still needs scores. Its reference is withdrawn; a decision that
    the reference had replaced stands again.
    """
    # Where answers are compared, this is one more of them: which is open may change, so the project is taken alone, and first.
    comparing_here = Project.objects.select_for_update(of=("self",)).filter(pk=item.project_id, mode=Project.Mode.COMPARE).first()
    project, item = gold_locked(item=item)
    if item.gold_score is None:
        return item
    item.gold_score, item.gold_note, item.is_qualification = None, "", False
    scores_here = bool(project.raters_per_item) and project.mode != Project.Mode.COMPARE
    item.is_open = scores_here and item.people_scores < project.raters_per_item + item.extra_raters
    item.save(update_fields=["gold_score", "gold_note", "is_qualification", "is_open"])
    _unrefer(item)
    _count(project, item, -1)
    if comparing_here:
        comparisons_open(project=project)
    audit.record(actor=actor, action="annotations.gold_item_cleared", target=item)
    return item


def gold_locked(*, item: Item) -> tuple[Project, Item]:
    """A project, which stays as it is, and its item, which nobody else changes, until the transaction ends.

    In this order everywhere: project (shared), item, counts of people, counts of the project.
    """
    with connection.cursor() as run:
        run.execute("SELECT FROM annotations_project WHERE id = %s FOR KEY SHARE", [item.project_id])
    project = Project.objects.get(pk=item.project_id)
    locked = Item.objects.select_for_update(of=("self",), no_key=True).filter(pk=item.pk).first()
    if locked is None:
        raise GoldRefused("This item has been deleted in the meantime.")
    return project, locked


def gold_reference(*, item: Item, rubric_version_id: int, rater: Rater, given_at: datetime) -> Score:
    """The unsaved score that says what is right about a gold item."""
    return Score(
        item=item,
        rater=rater,
        rubric_version_id=rubric_version_id,
        overall=item.gold_score,
        critique=item.gold_note,
        metadata=dict(GOLD),
        given_at=given_at,
    )


def _refer(item: Item, project: Project, rater: Rater) -> None:
    """Write the reference as the one live score by an adjudicator; what a decision said besides stays in it."""
    now = timezone.now()
    standing = Score.objects.filter(item=item, rater__kind=Rater.Kind.ADJUDICATOR, withdrawn_at=None).order_by("-pk").first()
    score = gold_reference(item=item, rubric_version_id=project.rubric_version_id, rater=rater, given_at=now)
    if standing is not None:
        Score.objects.filter(pk=standing.pk).update(withdrawn_at=now)
        score.replaces = standing
        if standing.rubric_version_id == project.rubric_version_id and standing.overall == item.gold_score:
            score.dimensions = standing.dimensions
    score.save()


def _unrefer(item: Item) -> None:
    """Withdraw the reference; the decision under it, if any, stands again."""
    live = Score.objects.filter(item=item, rater__kind=Rater.Kind.ADJUDICATOR, metadata__gold=True, withdrawn_at=None)
    earlier = live.order_by("-pk").first()
    live.update(withdrawn_at=timezone.now())
    while earlier is not None and earlier.metadata.get("gold"):
        earlier = earlier.replaces
    if earlier is not None and item.adjudicated_at is not None:
        Score.objects.filter(pk=earlier.pk).update(withdrawn_at=None)


def _count(project: Project, item: Item, change: int) -> None:
    """An item becomes gold (+1) or ordinary (−1): it is no longer among those that are done, or is again; what people gave on
    it counts as gold, or no longer does. `item` is as it is while it is ordinary.
    """
    people = Score.objects.filter(item=item, rater__kind=Rater.Kind.PERSON, withdrawn_at=None).values("rater")
    rows = project.progress.filter(rater__in=people)
    mine = [row.pk for row in rows.select_for_update(of=("self",)).order_by("pk")]
    project.progress.filter(pk__in=mine).update(gold=F("gold") + change)
    if project.raters_per_item and not item.is_open:
        completed_add(project=project, change=-change)
    Project.objects.filter(pk=project.pk).update(gold_count=F("gold_count") + change)
