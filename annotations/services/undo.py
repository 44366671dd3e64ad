"""Taking back the last thing that somebody did."""

from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from annotations.models import Draft, Flag, Item, Project, Ranking, Rater, Score, Turn, Undo
from annotations.services import comparing, revisions
from annotations.services.raters import person_rater
from annotations.services.turns import (
    Change,
    LockedItem,
    ScoringRefused,
    asked_otherwise,
    count,
    item_counted,
    item_locked,
    overalls_of,
    told_by_people,
)


@transaction.atomic
def score_undo(*, project: Project, actor: User, request: UUID | None = None) -> Item | None:
    """Take back the last thing a person did here: a score or ranking, skip or flag.

    The item is then theirs again, with what they wrote; but one that they had scored before stays scored: a score given
    again gives way to the one that it replaced, and a flag goes alone. Raises ScoringRefused where they have seen the
    others' scores since: what they would give again would not be blind. The same `request` again takes nothing more back:
    a desk asks again where it heard no answer, whether or not the first asking arrived.
    """
    rater = person_rater(user=actor)
    if request is None:
        return _take_back(project, actor, rater)
    # Of two askings at once the second waits here for the first.
    asked, new = Undo.objects.select_related("item").get_or_create(request=request, defaults={"rater": rater})
    if not new:
        return asked.item if asked.rater_id == rater.pk else None
    asked.item = _take_back(project, actor, rater)
    asked.save(update_fields=["item"])
    return asked.item


def _take_back(project: Project, actor: User, rater: Rater) -> Item | None:
    last = _last_action(project, rater)
    if last is None:
        return None
    item = Item.every.get(pk=last.item_id)
    locked = item_locked(item=item, user=actor)
    if isinstance(last, Flag):
        _undo_flag(locked, rater)
        audit.record(actor=actor, action="annotations.turn_undone", target=item, detail={"was": Turn.State.FLAGGED})
        return item
    turn = Turn.objects.get(pk=last.pk)
    if turn.state == Turn.State.REVEALED:
        refusal = _("You have seen the others' scores of item %(number)s since, so your score of it stands.")
        raise ScoringRefused(refusal % {"number": item.pk})
    undo = {Turn.State.SCORED: _undo_score, Turn.State.SKIPPED: _undo_skip, Turn.State.FLAGGED: _undo_flag}.get(
        Turn.State(turn.state)
    )
    if undo is None or turn.updated_at != last.updated_at:  # a second undo came first
        return item
    earlier = undo(locked, rater)
    now = timezone.now()
    changes = {"state": Turn.State.HELD, "held_until": now + locked.place.hold, "updated_at": now}
    if earlier is not None:  # as it was before: that score is now the last thing they did with this item
        changes = {"updated_at": earlier.created_at}
    Turn.objects.filter(pk=turn.pk).update(**changes)
    detail: dict[str, object] = {"was": turn.state, "standing": earlier.pk if earlier else None}
    audit.record(actor=actor, action="annotations.turn_undone", target=item, detail=detail)
    return item


def _last_action(project: Project, rater: Rater) -> Turn | Flag | None:
    """What an undo takes back. A flag on an item that was dealt with already is an action of its own; a score whose item
    was looked at since is found too, so that no undo reaches past it.
    """
    mine = Turn.objects.filter(rater=rater, project=project)
    given = {"item": OuterRef("item"), "rater": rater, "withdrawn_at": None}
    scored = Exists(Score.objects.filter(**given)) | Exists(Ranking.objects.filter(**given))
    done = Q(state__in=(Turn.State.SCORED, Turn.State.SKIPPED, Turn.State.FLAGGED)) | Q(state=Turn.State.REVEALED) & scored
    turn = mine.filter(done).order_by("-updated_at").first()
    flags = Flag.objects.filter(rater=rater, item__project=project, resolved_at=None)
    flag = flags.exclude(item__in=mine.filter(state=Turn.State.FLAGGED).values("item")).order_by("-created_at").first()
    return flag if flag and (turn is None or flag.created_at > turn.updated_at) else turn


def _undo_score(item: LockedItem, rater: Rater) -> Score | Ranking | None:
    """Withdraw the score. Returns the one that it had replaced, which stands again; else what was written is a draft.

    Raises ScoringRefused for what was given while the project asked for something else: that stays, and counts no longer.
    """
    if item.place.mode == Project.Mode.COMPARE:
        return comparing.ranking_withdraw(item, rater)
    score = Score.objects.filter(item=item.pk, rater=rater, withdrawn_at=None).select_related("replaces").first()
    if score is None:
        raise asked_otherwise(item)
    now = timezone.now()
    Score.objects.filter(pk=score.pk).update(withdrawn_at=now)
    earlier = score.replaces
    if earlier is not None:
        Score.objects.filter(pk=earlier.pk).update(withdrawn_at=None)
        # The one that stands again may lie far from the others: then the item wants more people.
        opened = item_counted(item, people=item.people_scores, overalls=_overalls(item))
        count(item, Change(completed=opened, seconds=-(score.seconds or 0.0)))
        revisions.revision_exchange(was=score, score=earlier)
        return earlier
    data = {
        "overall": None if score.overall is None else int(score.overall),
        "dimensions": score.dimensions,
        "critique": score.critique,
        "spans": score.spans,
        "revised_answer": score.revised_answer,
        "cannot_verify": score.cannot_verify,
        "seconds": score.seconds or 0,
    }
    Draft.objects.update_or_create(item_id=item.pk, rater=rater, defaults={"data": data, "updated_at": now})
    opened = item_counted(item, people=item.people_scores - 1, overalls=_overalls(item))
    count(item, Change(scored=-1, completed=opened, gold=-int(item.is_gold), seconds=-(score.seconds or 0.0)))
    revisions.revision_exchange(was=score, score=None)
    return None


def _overalls(item: LockedItem) -> list[float]:
    return overalls_of(told_by_people(item))


def _undo_skip(item: LockedItem, _rater: Rater) -> None:
    count(item, Change(skipped=-1))


def _undo_flag(item: LockedItem, rater: Rater) -> None:
    taken_back = Flag.objects.filter(item=item.pk, rater=rater, resolved_at=None).update(resolved_at=timezone.now())
    Item.every.filter(pk=item.pk).update(open_flags=F("open_flags") - taken_back)
