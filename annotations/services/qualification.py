"""Somebody's first items in a project: gold items with feedback. Who gets enough of them right goes on to the queue."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Item, Membership, Project, Rater, Score, Turn
from annotations.services.raters import person_rater
from annotations.services.turns import Change, count, item_counted, item_locked, overalls_of, told_by_people

RIGHT, NEAR, OFF, UNSCORED = "right", "near", "off", "unscored"
PASSED, WAIVED = "passed", "waived"
FAILED, UNDER_WAY, NOT_ASKED = "failed", "under way", "not asked"


@dataclass(frozen=True)
class Feedback:
    """What somebody gave on a qualification item, beside what is right."""

    item: Item
    score: Score

    @property
    def given(self) -> float | None:
        return self.score.overall

    @property
    def reference(self) -> float:
        assert self.item.gold_score is not None
        return self.item.gold_score

    @property
    def note(self) -> str:
        return self.item.gold_note

    @property
    def how(self) -> str:
        return judged(given=self.given, reference=self.reference)


@dataclass(frozen=True)
class Outcome:
    """How somebody did so far: of `asked` items they `answered` so many, and got `right` and `near` so many."""

    asked: int
    answered: int
    right: int
    near: int
    needed_share: float
    attempt: int
    state: str

    @property
    def left(self) -> int:
        return max(0, self.asked - self.answered)

    @property
    def share(self) -> float | None:
        return self.right / self.answered if self.answered else None


def judged(*, given: float | None, reference: float) -> str:
    """`right`: no whole score is nearer to the reference; `near`: within one step of that."""
    if given is None:
        return UNSCORED
    distance = abs(given - reference)
    return RIGHT if distance <= 0.5 else NEAR if distance <= 1.5 else OFF


def feedback(*, score: Score) -> Feedback | None:
    """What to tell somebody who gave `score`; None where its item is no qualification item: of other gold items nobody learns
    what is right. Whoever shows it notes so with `scores_shown`.
    """
    item = Item.objects.filter(pk=score.item_id, is_qualification=True, gold_score__isnull=False).first()
    return Feedback(item, score) if item else None


def feedback_list(*, project: Project, rater: Rater) -> list[Feedback]:
    """Everything that somebody gave on qualification items, in the order in which they gave it."""
    scores = _answered(project, rater).select_related("item").order_by("given_at")
    return [Feedback(score.item, score) for score in scores]


@transaction.atomic
def outcome(*, project: Project, rater: Rater) -> Outcome:
    """How somebody stands with the qualification items. Who has passed is noted as qualified here."""
    membership = Membership.objects.filter(project=project, rater=rater).first()
    there = Item.objects.filter(project=project, is_qualification=True, gold_score__isnull=False).count()
    asked = min(project.qualification_items, there)
    given = _answered(project, rater).values_list("overall", "item__gold_score")
    verdicts = [judged(given=overall, reference=reference or 0.0) for overall, reference in given]
    right, near = verdicts.count(RIGHT), verdicts.count(NEAR)
    passes = 0 < asked <= len(verdicts) and right >= project.qualification_pass * len(verdicts) - 1e-9
    if membership is not None and membership.qualified_at is not None:
        state = membership.qualified_by or PASSED
    elif not asked:
        state = NOT_ASKED
    elif len(verdicts) < asked:
        # Who has skipped the rest has nothing to go on with.
        state = UNDER_WAY if _some_left(project, rater) else FAILED
    else:
        state = PASSED if passes else FAILED
        if passes:
            _qualified(project, rater, by=PASSED, actor=rater.user)
    return Outcome(asked, len(verdicts), right, near, project.qualification_pass, membership.attempt if membership else 1, state)


@transaction.atomic
def qualification_waive(*, project: Project, user: User, actor: User | None) -> Membership:
    """Let somebody go on to the queue without, or in spite of, the qualification items."""
    return _qualified(project, person_rater(user=user), by=WAIVED, actor=actor)


@transaction.atomic
def qualification_again(*, project: Project, user: User, actor: User | None) -> Membership:
    """Another attempt: what somebody gave on the qualification items is withdrawn, and the items come to them again."""
    rater = person_rater(user=user)
    items = Item.objects.filter(pk__in=_answered(project, rater).values("item")).order_by("pk")
    # All items first: whoever scores locks their item, then their counts, and is written down as qualified at last.
    locked = [item_locked(item=item, user=user) for item in items]
    # Read now that nobody else changes them.
    scores = {score.item_id: score for score in _answered(project, rater)}
    for item in locked:
        if (score := scores.get(item.pk)) is None:
            continue
        Score.objects.filter(pk=score.pk).update(withdrawn_at=timezone.now())
        opened = item_counted(item, people=item.people_scores - 1, overalls=overalls_of(told_by_people(item)))
        count(item, Change(scored=-1, gold=-1, completed=opened, seconds=-(score.seconds or 0.0)))
    Turn.objects.filter(project=project, rater=rater, item__is_qualification=True).delete()
    membership, _ = Membership.objects.get_or_create(project=project, rater=rater)
    membership.qualified_at, membership.qualified_by, membership.attempt = None, "", membership.attempt + 1
    membership.save(update_fields=["qualified_at", "qualified_by", "attempt"])
    detail: dict[str, object] = {"attempt": membership.attempt}
    audit.record(actor=actor, action="annotations.qualification_reset", target=membership, detail=detail)
    return membership


def _answered(project: Project, rater: Rater) -> QuerySet[Score]:
    gold = {"item__project": project, "item__is_qualification": True, "item__gold_score__isnull": False}
    return Score.objects.filter(rater=rater, withdrawn_at=None, item__deleted_at=None, **gold)


def _some_left(project: Project, rater: Rater) -> bool:
    items = Item.objects.filter(project=project, is_qualification=True, gold_score__isnull=False)
    dealt_with = Turn.objects.filter(rater=rater, item=OuterRef("pk")).exclude(state__in=(Turn.State.HELD, Turn.State.ASSIGNED))
    return items.exclude(Exists(dealt_with)).exists()


def _qualified(project: Project, rater: Rater, *, by: str, actor: User | None) -> Membership:
    membership, _ = Membership.objects.get_or_create(project=project, rater=rater)
    membership.qualified_at, membership.qualified_by = timezone.now(), by
    membership.save(update_fields=["qualified_at", "qualified_by"])
    audit.record(actor=actor, action=f"annotations.qualification_{by}", target=membership)
    return membership
