"""Scoring by people: hand out an item, keep the draft, take the score, skip, flag."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from annotations.models import Draft, Flag, Item, Project, Rater, Score, Turn
from annotations.rubric import HIGHEST, LOWEST
from annotations.services import revisions
from annotations.services.claims import hold_again, item_claimed
from annotations.services.qualification import outcome
from annotations.services.raters import person_rater
from annotations.services.standing import standing
from annotations.services.turns import (
    Change,
    LockedItem,
    ScoringRefused,
    Told,
    item_counted,
    item_locked,
    may_score,
    overalls_of,
    sane_seconds,
    settle,
    storable,
    told_by_people,
)
from annotations.spans import MOST_SPANS, spans_checked


@dataclass(frozen=True)
class Handout:
    """The item that somebody should score next, or why there is none."""

    item: Item | None = None
    # One of `standing`'s reasons, or "" where nothing is left for them at the moment.
    reason: str = ""
    # Whether they may have written about it before.
    was_held: bool = False


@transaction.atomic
def item_handout(*, project: Project, actor: User, besides: Collection[int] = ()) -> Handout:
    """The item that `actor` should score next, held for them.

    An item that they hold already comes first, so that a reload shows the same one. `besides` are items that their
    page has already.
    """
    claim = item_claimed(place=standing(project_id=project.pk, user=actor), besides=besides)
    if claim.item is None:
        return Handout(reason=claim.reason)
    return Handout(Item.objects.get(pk=claim.item), was_held=claim.was_held)


def item_next(*, project: Project, actor: User, besides: Collection[int] = ()) -> Item | None:
    """The item of `item_handout`; None where nothing is left for them at the moment."""
    return item_handout(project=project, actor=actor, besides=besides).item


@transaction.atomic
def score_submit(
    *,
    item: Item,
    actor: User,
    submission: UUID,
    overall: int | None,
    dimensions: Mapping[str, int] | None = None,
    critique: str = "",
    spans: Sequence[Mapping[str, Any]] = (),
    revised_answer: str = "",
    cannot_verify: bool = False,
    seconds: float | None = None,
) -> Score:
    """Take a person's score. The same `submission` again gives back the score that it made the first time.

    A second score by the same person replaces the first. Raises ScoringRefused for a score that is none.
    """
    locked = item_locked(item=item, user=actor)
    place = locked.place
    rater = Rater(pk=place.rater_id)
    told = told_by_people(locked, submission)
    known = next((one for one in told if one.submission == submission), None)
    if known is not None:
        return _own(known, locked)
    may_score(locked)
    if place.mode == Project.Mode.COMPARE:
        raise ScoringRefused(_("This project compares answers; rank them instead."))
    _check(locked, overall, dimensions or {}, cannot_verify)
    revised_answer = storable(revised_answer)
    if revised_answer and place.mode != Project.Mode.REVIEW:
        raise ScoringRefused(_("This project asks for no revised answers."), "revised_answer")
    marks = _marks(locked, spans)
    before = next((one for one in told if one.rater_id == rater.pk), None)
    standing_score = Score.objects.get(pk=before.pk) if before else None
    if standing_score is not None:
        Score.objects.filter(pk=standing_score.pk).update(withdrawn_at=timezone.now())
    score = Score.objects.create(
        item_id=locked.pk,
        rater=rater,
        rubric_version_id=locked.rubric_version_id,
        overall=None if cannot_verify else overall,
        dimensions=dict(dimensions or {}),
        critique=storable(critique),
        spans=marks,
        revised_answer=revised_answer,
        cannot_verify=cannot_verify,
        seconds=sane_seconds(seconds),
        submission=submission,
        given_at=timezone.now(),
        replaces=standing_score,
    )
    mine = [score.overall] if score.overall is not None and not locked.is_revoked else []
    overalls = [*mine, *overalls_of(other for other in told if other is not before)]
    is_new = standing_score is None
    closed = item_counted(locked, people=locked.people_scores + is_new, overalls=overalls)
    settle(
        locked,
        Turn.State.SCORED,
        Change(scored=int(is_new), completed=closed, gold=int(is_new and locked.is_gold), seconds=score.seconds or 0.0),
    )
    audit.record(actor=actor, action="annotations.item_scored", target=item, detail={"score": score.pk})
    revisions.revision_exchange(was=standing_score, score=score)
    if locked.is_qualification:
        outcome(project=Project.objects.get(pk=locked.project_id), rater=person_rater(user=actor))
    return score


@transaction.atomic
def item_skip(*, item: Item, actor: User) -> None:
    """Leave an item to others; it does not come back to this person."""
    locked = item_locked(item=item, user=actor)
    if locked.state not in {None, Turn.State.HELD, Turn.State.ASSIGNED}:
        return
    settle(locked, Turn.State.SKIPPED, Change(skipped=1))
    audit.record(actor=actor, action="annotations.item_skipped", target=item)


@transaction.atomic
def item_flag(*, item: Item, actor: User, reason: str, note: str = "") -> Flag:
    """Say that something is wrong with an item itself; it leaves this person's queue, and every dataset until resolved."""
    if reason not in Flag.Reason.values:
        raise ScoringRefused(_("Choose what is wrong with the item."), "reason")
    locked = item_locked(item=item, user=actor)
    rater = Rater(pk=locked.place.rater_id)
    if locked.state in {None, Turn.State.HELD, Turn.State.ASSIGNED}:
        settle(locked, Turn.State.FLAGGED, Change())
    earlier = Flag.objects.filter(item=item, rater=rater, resolved_at=None).first()
    if earlier is not None:
        return earlier
    flag = Flag.objects.create(item=item, rater=rater, reason=reason, note=storable(note))
    Item.every.filter(pk=item.pk).update(open_flags=F("open_flags") + 1)
    audit.record(actor=actor, action="annotations.item_flagged", target=item, detail={"reason": reason})
    return flag


@transaction.atomic
def flag_resolve(*, flag: Flag, actor: User | None) -> Flag:
    """The item is in order, or has been put in order: it may be used again."""
    # The item first, as an undo of the flag does: they would else wait for each other.
    Item.every.select_for_update(no_key=True).only("pk").get(pk=flag.item_id)
    flag = Flag.objects.select_for_update().get(pk=flag.pk)
    if flag.resolved_at is None:
        flag.resolved_at, flag.resolved_by = timezone.now(), actor
        flag.save(update_fields=["resolved_at", "resolved_by"])
        Item.every.filter(pk=flag.item_id).update(open_flags=F("open_flags") - 1)
        audit.record(actor=actor, action="annotations.flag_resolved", target=flag)
    return flag


@transaction.atomic
def draft_save(*, item: Item, actor: User, data: Mapping[str, Any]) -> Draft | None:
    """Keep what a person has typed so far, and the item with them. None once they are done with the item: a save that
    arrives after the submission it belongs to must not bring the draft back.
    """
    rater = person_rater(user=actor)
    now = timezone.now()
    minutes = Project.objects.values_list("hold_minutes", flat=True).get(pk=item.project_id)
    if not hold_again(item=item, rater_id=rater.pk, until=now + timedelta(minutes=minutes)):
        return None
    return Draft.objects.update_or_create(item=item, rater=rater, defaults={"data": dict(data), "updated_at": now})[0]


def _own(known: Told, item: LockedItem) -> Score:
    if (known.rater_id, known.item_id) != (item.place.rater_id, item.pk):
        raise ScoringRefused(_("This submission belongs to another score."), "submission")
    return Score.objects.get(pk=known.pk)


def _check(item: LockedItem, overall: int | None, dimensions: Mapping[str, int], cannot_verify: bool) -> None:
    if not cannot_verify and overall is None:
        raise ScoringRefused(_("Choose an overall score, or “cannot verify”."))
    known = item.rubric.dimension_ids
    for name, value in [("overall", overall), *dimensions.items()]:
        if name != "overall" and name not in known:
            raise ScoringRefused(_("The rubric has no dimension “%(name)s”.") % {"name": name}, name)
        if value is not None and (not isinstance(value, int) or not LOWEST <= value <= HIGHEST):
            refusal = _("A score is a whole number from %(lowest)s to %(highest)s.")
            raise ScoringRefused(refusal % {"lowest": LOWEST, "highest": HIGHEST}, name)


def _marks(item: LockedItem, spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(spans) > MOST_SPANS:
        raise ScoringRefused(_("There are more than %(most)s marks.") % {"most": MOST_SPANS}, "spans")
    try:
        return spans_checked(spans, length=item.answer_length) if spans else []
    except ValueError as error:
        raise ScoringRefused(str(error), "spans") from error
