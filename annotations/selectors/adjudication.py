"""Disputed items, what was said about them, and what was decided."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256

from django.db.models import Count, Q, QuerySet

from accounts.models import User
from annotations.models import Item, Project, Rater, Score
from annotations.selectors.revocations import revoked_among


def disputed_items(*, project: Project) -> QuerySet[Item]:
    """Items that have their scores, where these lie far apart, and that nobody has decided: most disputed first."""
    threshold = max(project.disagreement_threshold, 0.5)
    items = Item.objects.filter(project=project, is_open=False, gold_score=None, adjudicated_at=None, spread__gt=0)
    return items.filter(spread__gte=threshold).order_by("-spread", "pk")


def disputed_next(*, project: Project, after: Item | None = None) -> Item | None:
    """The most disputed item, or the one that comes after another."""
    items = disputed_items(project=project)
    if after is not None and after.spread is not None:
        items = items.filter(Q(spread__lt=after.spread) | Q(spread=after.spread, pk__gt=after.pk))
    return items.first()


@dataclass(frozen=True)
class Voice:
    """One score of a disputed item, under a letter."""

    letter: str
    score: Score
    # What they marked in the answer, as (label, words).
    marks: list[tuple[str, str]] = field(default_factory=list)
    # Shown, since it was given, but part of nothing.
    is_revoked: bool = False


def voices(*, item: Item) -> list[Voice]:
    """All live scores of an item but decisions, under letters in an order that says nothing about who gave them."""
    live = Score.objects.filter(item=item, withdrawn_at=None).exclude(rater__kind=Rater.Kind.ADJUDICATOR)
    scores = list(live.select_related("rater", "rubric_version"))
    scores.sort(key=lambda score: sha256(f"{item.content_hash}:{score.pk}".encode()).digest())
    gone = revoked_among([item])
    return [Voice(_letter(place), score, _marks(item, score), score.pk in gone) for place, score in enumerate(scores)]


def _letter(place: int) -> str:
    return chr(65 + place) if place < 26 else f"{chr(64 + place // 26)}{chr(65 + place % 26)}"


def _marks(item: Item, score: Score) -> list[tuple[str, str]]:
    return [(str(span["label"]), item.answer[span["start"] : span["end"]].strip()) for span in score.spans]


def decision_list(*, project: Project) -> QuerySet[Score]:
    """The decisions that stand, newest first."""
    decisions = Score.objects.filter(item__project=project, item__adjudicated_at__isnull=False, item__deleted_at=None)
    live = decisions.filter(rater__kind=Rater.Kind.ADJUDICATOR, withdrawn_at=None, metadata__has_key="reason")
    return live.select_related("rater", "item").defer("item__prompt", "item__search", "item__metadata").order_by("-given_at")


def decision_reasons(*, project: Project) -> Counter[str]:
    """Why people differed, by how often: what the guidelines should say."""
    rows = decision_list(project=project).order_by().values_list("metadata__reason").annotate(number=Count("pk"))
    return Counter({str(reason): number for reason, number in rows})


@dataclass(frozen=True)
class MyDecision:
    """A decision on an item that somebody scored, beside what they gave."""

    item: Item
    mine: Score
    decision: Score


def decisions_on_mine(*, user: User, number: int = 20) -> list[MyDecision]:
    """What was decided on items that somebody scored, newest first. Whoever shows them notes so with `scores_shown`."""
    mine = Score.objects.filter(rater__user=user, withdrawn_at=None, item__adjudicated_at__isnull=False, item__gold_score=None)
    latest = list(mine.filter(item__deleted_at=None).select_related("item").order_by("-item__adjudicated_at")[:number])
    decisions = Score.objects.filter(item__in=[score.item_id for score in latest], rater__kind="adjudicator", withdrawn_at=None)
    by_item = {score.item_id: score for score in decisions}
    return [MyDecision(score.item, score, by_item[score.item_id]) for score in latest if score.item_id in by_item]
