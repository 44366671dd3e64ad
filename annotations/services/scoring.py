"""Scoring by people: hand out an item, keep the draft, take the score, skip, flag, undo."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Draft, Flag, Item, Progress, Project, Rater, Score, Turn
from annotations.rubric import HIGHEST, LOWEST
from annotations.services.claims import claim_item, held_item, raters_needed
from annotations.services.raters import person_rater

# How long an item stays somebody's without a sign of life; each saved draft is one.
HOLD = timedelta(minutes=15)
# A page left open over lunch says nothing about how long the item took.
LONGEST_SECONDS = 1800.0
# Without the rubric itself: it is remembered by its hash.
RUBRIC_COLUMNS = ("project__slug", "project__rubric_version__content_hash")


class ScoringRefused(ValueError):  # noqa: N818 - reads as what happened
    """What was submitted cannot be taken; the message says why, `field` where."""

    def __init__(self, message: str, field: str = "overall") -> None:
        super().__init__(message)
        self.field = field


@transaction.atomic
def item_next(*, project: Project, actor: User, besides: Collection[int] = ()) -> Item | None:
    """The item that `actor` should score next, held for them; None where nothing is left for them at the moment.

    An item that they hold already comes first, so that a reload shows the same one. `besides` are items that their
    page has already.
    """
    if not project.raters_per_item:
        return None
    rater = person_rater(user=actor)
    until = timezone.now() + HOLD
    mine = held_item(project=project, rater=rater, besides=besides)
    if mine is not None:
        Turn.objects.filter(item_id=mine, rater=rater).update(held_until=until)
        return Item.objects.get(pk=mine)
    needed = raters_needed(project_id=project.pk)
    claimed = claim_item(project=project, rater=rater, needed=needed, until=until)
    return Item.objects.get(pk=claimed) if claimed is not None else None


@transaction.atomic
def score_submit(
    *,
    item: Item,
    actor: User,
    submission: UUID,
    overall: int | None,
    dimensions: Mapping[str, int] | None = None,
    critique: str = "",
    cannot_verify: bool = False,
    seconds: float | None = None,
) -> Score:
    """Take a person's score. The same `submission` again gives back the score that it made the first time.

    A second score by the same person replaces the first. Raises ScoringRefused for a score that is none.
    """
    item = _locked(item)
    rater = person_rater(user=actor)
    mine = Q(item=item, rater=rater, withdrawn_at=None)
    before = list(Score.objects.filter(mine | Q(submission=submission)))
    known = next((score for score in before if score.submission == submission), None)
    if known is not None:
        return _own(known, rater, item)
    project = item.project
    if _state(item, rater) == Turn.State.REVEALED:
        raise ScoringRefused("You have seen the others' scores of this item, so you can no longer score it blind.")
    _check(project, overall, dimensions or {}, cannot_verify)
    standing = before[0] if before else None
    if standing is not None:
        Score.objects.filter(pk=standing.pk).update(withdrawn_at=timezone.now())
    score = Score.objects.create(
        item=item,
        rater=rater,
        rubric_version_id=project.rubric_version_id,
        overall=None if cannot_verify else overall,
        dimensions=dict(dimensions or {}),
        critique=_storable(critique),
        cannot_verify=cannot_verify,
        seconds=_sane(seconds),
        submission=submission,
        given_at=timezone.now(),
        replaces=standing,
    )
    closed = _count_score(item, +1) if standing is None else 0
    _settle(item, rater, Turn.State.SCORED)
    _count(item, rater, scored=int(standing is None), completed=closed, seconds=score.seconds or 0.0)
    audit.record(actor=actor, action="annotations.item_scored", target=item, detail={"score": score.pk})
    return score


@transaction.atomic
def item_skip(*, item: Item, actor: User) -> None:
    """Leave an item to others; it does not come back to this person."""
    item = _locked(item)
    rater = person_rater(user=actor)
    if _state(item, rater) not in {None, Turn.State.HELD}:
        return
    _settle(item, rater, Turn.State.SKIPPED)
    _count(item, rater, skipped=1)
    audit.record(actor=actor, action="annotations.item_skipped", target=item)


@transaction.atomic
def item_flag(*, item: Item, actor: User, reason: str, note: str = "") -> Flag:
    """Say that something is wrong with an item itself; it leaves this person's queue, and every dataset until resolved."""
    if reason not in Flag.Reason.values:
        raise ScoringRefused("Choose what is wrong with the item.", "reason")
    item = _locked(item)
    rater = person_rater(user=actor)
    standing = Flag.objects.filter(item=item, rater=rater, resolved_at=None).first()
    if standing is not None:
        return standing
    flag = Flag.objects.create(item=item, rater=rater, reason=reason, note=_storable(note))
    Item.objects.filter(pk=item.pk).update(open_flags=F("open_flags") + 1)
    if _state(item, rater) in {None, Turn.State.HELD}:
        _settle(item, rater, Turn.State.FLAGGED)
    audit.record(actor=actor, action="annotations.item_flagged", target=item, detail={"reason": reason})
    return flag


@transaction.atomic
def flag_resolve(*, flag: Flag, actor: User | None) -> Flag:
    """The item is in order, or has been put in order: it may be used again."""
    # The item first, as an undo of the flag does: they would else wait for each other.
    Item.objects.select_for_update(no_key=True).only("pk").get(pk=flag.item_id)
    flag = Flag.objects.select_for_update().get(pk=flag.pk)
    if flag.resolved_at is None:
        flag.resolved_at, flag.resolved_by = timezone.now(), actor
        flag.save(update_fields=["resolved_at", "resolved_by"])
        Item.objects.filter(pk=flag.item_id).update(open_flags=F("open_flags") - 1)
        audit.record(actor=actor, action="annotations.flag_resolved", target=flag)
    return flag


@transaction.atomic
def draft_save(*, item: Item, actor: User, data: Mapping[str, Any]) -> Draft | None:
    """Keep what a person has typed so far, and the item with them. None once they are done with the item: a save that
    arrives after the submission it belongs to must not bring the draft back.
    """
    rater = person_rater(user=actor)
    now = timezone.now()
    if not Turn.objects.filter(item=item, rater=rater, state=Turn.State.HELD).update(held_until=now + HOLD):
        return None
    return Draft.objects.update_or_create(item=item, rater=rater, defaults={"data": dict(data), "updated_at": now})[0]


@transaction.atomic
def score_undo(*, project: Project, actor: User) -> Item | None:
    """Take back the last thing a person did here: a score, skip or flag.

    The item is then theirs again, with what they wrote; but one that they had scored before stays scored: a score given
    again gives way to the one that it replaced, and a flag goes alone. Raises ScoringRefused where they have seen the
    others' scores since: what they would give again would not be blind.
    """
    rater = person_rater(user=actor)
    last = _last_action(project, rater)
    if last is None:
        return None
    item = _locked(Item(pk=last.item_id, project_id=project.pk))
    if isinstance(last, Flag):
        _undo_flag(item, rater)
        audit.record(actor=actor, action="annotations.turn_undone", target=item, detail={"was": Turn.State.FLAGGED})
        return item
    turn = Turn.objects.get(pk=last.pk)
    if turn.state == Turn.State.REVEALED:
        raise ScoringRefused(f"You have seen the others' scores of item {item.pk} since, so your score of it stands.")
    undo = {Turn.State.SCORED: _undo_score, Turn.State.SKIPPED: _undo_skip, Turn.State.FLAGGED: _undo_flag}.get(
        Turn.State(turn.state)
    )
    if undo is None or turn.updated_at != last.updated_at:  # a second undo came first
        return item
    standing = undo(item, rater)
    now = timezone.now()
    changes = {"state": Turn.State.HELD, "held_until": now + HOLD, "updated_at": now}
    if standing is not None:  # as it was before: that score is now the last thing they did with this item
        changes = {"updated_at": standing.created_at}
    Turn.objects.filter(pk=turn.pk).update(**changes)
    detail: dict[str, object] = {"was": turn.state, "standing": standing.pk if standing else None}
    audit.record(actor=actor, action="annotations.turn_undone", target=item, detail=detail)
    return item


def _last_action(project: Project, rater: Rater) -> Turn | Flag | None:
    """What an undo takes back. A flag on an item that was dealt with already is an action of its own; a score whose item
    was looked at since is found too, so that no undo reaches past it.
    """
    mine = Turn.objects.filter(rater=rater, project=project)
    scored = Exists(Score.objects.filter(item=OuterRef("item"), rater=rater, withdrawn_at=None))
    done = Q(state__in=(Turn.State.SCORED, Turn.State.SKIPPED, Turn.State.FLAGGED)) | Q(state=Turn.State.REVEALED) & scored
    turn = mine.filter(done).order_by("-updated_at").first()
    flags = Flag.objects.filter(rater=rater, item__project=project, resolved_at=None)
    flag = flags.exclude(item__in=mine.filter(state=Turn.State.FLAGGED).values("item")).order_by("-created_at").first()
    return flag if flag and (turn is None or flag.created_at > turn.updated_at) else turn


@transaction.atomic
def item_reveal(*, item: Item, actor: User) -> None:
    """Let a person see the others' scores of an item that they have not scored; they are then not asked to score it."""
    item = _locked(item)
    rater = person_rater(user=actor)
    if _state(item, rater) != Turn.State.SCORED:
        _settle(item, rater, Turn.State.REVEALED)
        audit.record(actor=actor, action="annotations.scores_revealed", target=item)


@transaction.atomic
def scores_shown(*, items: Collection[int], actor: User) -> None:
    """Note that a person has been shown the others' scores of these items: from now on their own, if any, stands, and they
    cannot give one.
    """
    rater = person_rater(user=actor)
    known = Turn.objects.filter(item__in=items, rater=rater, state=Turn.State.REVEALED).values_list("item_id", flat=True)
    if not (new := set(items) - set(known)):
        return
    # When they last did something with an item stays as it is: seeing is nothing that an undo takes back.
    now = timezone.now()
    turns = [
        Turn(item_id=item, rater=rater, project_id=project, state=Turn.State.REVEALED, updated_at=now)
        for item, project in Item.objects.filter(pk__in=new).order_by("pk").values_list("pk", "project_id")
    ]
    changed = ["state", "held_until"]
    Turn.objects.bulk_create(turns, update_conflicts=True, unique_fields=["item", "rater"], update_fields=changed)


def _locked(item: Item) -> Item:
    """The item as it is now; whoever changes its scores next waits, and so does whoever changes its project."""
    needed = raters_needed(project_id=item.project_id)
    items = Item.objects.select_for_update(of=("self",), no_key=True).select_related("project__rubric_version")
    # The long texts stay where they are: every submission comes through here.
    locked = items.only("people_scores", "is_open", "project__raters_per_item", *RUBRIC_COLUMNS).get(pk=item.pk)
    locked.project.raters_per_item = needed
    return locked


def _own(score: Score, rater: Rater, item: Item) -> Score:
    if (score.rater_id, score.item_id) != (rater.pk, item.pk):
        raise ScoringRefused("This submission belongs to another score.", "submission")
    return score


def _check(project: Project, overall: int | None, dimensions: Mapping[str, int], cannot_verify: bool) -> None:
    if not cannot_verify and overall is None:
        raise ScoringRefused("Choose an overall score, or “cannot verify”.")
    known = project.rubric_version.rubric.dimension_ids
    for name, value in [("overall", overall), *dimensions.items()]:
        if name != "overall" and name not in known:
            raise ScoringRefused(f"The rubric has no dimension “{name}”.", name)
        if value is not None and (not isinstance(value, int) or not LOWEST <= value <= HIGHEST):
            raise ScoringRefused(f"A score is a whole number from {LOWEST} to {HIGHEST}.", name)


def _storable(text: str) -> str:
    """Without NUL characters, which no database text can hold."""
    return text.replace("\x00", "").strip()


def _sane(seconds: float | None) -> float | None:
    return None if seconds is None or not seconds >= 0 else min(float(seconds), LONGEST_SECONDS)


def _state(item: Item, rater: Rater) -> str | None:
    return Turn.objects.filter(item=item, rater=rater).values_list("state", flat=True).first()


def _settle(item: Item, rater: Rater, state: Turn.State) -> None:
    """This person is done with the item; their draft has served."""
    turn = Turn(item=item, rater=rater, project_id=item.project_id, state=state, held_until=None, updated_at=timezone.now())
    changed = ["state", "held_until", "updated_at"]
    Turn.objects.bulk_create([turn], update_conflicts=True, unique_fields=["item", "rater"], update_fields=changed)
    Draft.objects.filter(item=item, rater=rater).delete()


def _count_score(item: Item, change: int) -> int:
    """Add to the item's live scores by people; returns +1 where that closed it, −1 where it opened it."""
    needed = item.project.raters_per_item
    before, after = item.people_scores, item.people_scores + change
    Item.objects.filter(pk=item.pk).update(people_scores=after, is_open=after < needed)
    return int(after >= needed) - int(before >= needed)


def _count(item: Item, rater: Rater, *, scored: int = 0, skipped: int = 0, completed: int = 0, seconds: float = 0.0) -> None:
    changes = {
        "scored": F("scored") + scored,
        "skipped": F("skipped") + skipped,
        "completed": F("completed") + completed,
        "seconds": F("seconds") + seconds,
    }
    mine = Progress.objects.filter(project_id=item.project_id, rater=rater)
    if not mine.update(**changes):
        Progress.objects.get_or_create(project_id=item.project_id, rater=rater)
        mine.update(**changes)


def _undo_score(item: Item, rater: Rater) -> Score | None:
    """Withdraw the score. Returns the one that it had replaced, which stands again; else what was written is a draft."""
    score = Score.objects.filter(item=item, rater=rater, withdrawn_at=None).select_related("replaces").first()
    if score is None:
        return None
    now = timezone.now()
    Score.objects.filter(pk=score.pk).update(withdrawn_at=now)
    earlier = score.replaces
    if earlier is not None:
        Score.objects.filter(pk=earlier.pk).update(withdrawn_at=None)
        _count(item, rater, seconds=-(score.seconds or 0.0))
        return earlier
    data = {
        "overall": None if score.overall is None else int(score.overall),
        "dimensions": score.dimensions,
        "critique": score.critique,
        "cannot_verify": score.cannot_verify,
        "seconds": score.seconds or 0,
    }
    Draft.objects.update_or_create(item=item, rater=rater, defaults={"data": data, "updated_at": now})
    _count(item, rater, scored=-1, completed=_count_score(item, -1), seconds=-(score.seconds or 0.0))
    return None


def _undo_skip(item: Item, rater: Rater) -> None:
    _count(item, rater, skipped=-1)


def _undo_flag(item: Item, rater: Rater) -> None:
    taken_back = Flag.objects.filter(item=item, rater=rater, resolved_at=None).update(resolved_at=timezone.now())
    Item.objects.filter(pk=item.pk).update(open_flags=F("open_flags") - taken_back)
