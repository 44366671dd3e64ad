"""Who scores in a project, how much, and what they can judge."""

from collections.abc import Iterable

from django.db import transaction

from accounts import audit
from accounts.models import User
from annotations.models import Membership, Project, Rater, Turn
from annotations.services.raters import person_rater
from annotations.services.turns import storable

LONGEST_SKILL = 40
MOST_SKILLS = 30
HIGHEST_CAP = 10_000_000


class MemberRefused(ValueError):  # noqa: N818 - reads as what happened
    """This cannot hold for a member; the message says why."""


@transaction.atomic
def member_add(*, project: Project, user: User, actor: User | None) -> Membership:
    """Let somebody score here, also where the project is for its members alone. Who is paused goes on."""
    if not user.is_active:
        raise MemberRefused(f"{user.username} cannot log in any more.")
    membership, is_new = Membership.objects.get_or_create(project=project, rater=person_rater(user=user))
    if is_new or not membership.is_active:
        _changed(membership, actor, "member_added" if is_new else "member_resumed", is_active=True)
    return membership


@transaction.atomic
def member_pause(*, project: Project, user: User, actor: User | None) -> Membership:
    """Hand somebody nothing more here. What they hold, and what was assigned to them, goes back to the queue; drafts stay."""
    membership = _membership(project, user)
    if membership.is_active:
        _changed(membership, actor, "member_paused", is_active=False)
    assignments_end(project=project, rater=membership.rater)
    return membership


@transaction.atomic
def member_resume(*, project: Project, user: User, actor: User | None) -> Membership:
    membership = _membership(project, user)
    if not membership.is_active:
        _changed(membership, actor, "member_resumed", is_active=True)
    return membership


@transaction.atomic
def member_cap(*, project: Project, user: User, cap: int | None, actor: User | None) -> Membership:
    """How many scores they may give here at most; None: as the project says. Raises MemberRefused."""
    if cap is not None and not 0 < cap <= HIGHEST_CAP:
        raise MemberRefused("A cap is a number above 0, or empty for the project's. To stop somebody, pause them.")
    membership = _membership(project, user)
    if membership.cap != cap:
        _changed(membership, actor, "member_cap_set", cap=cap)
    return membership


@transaction.atomic
def member_skills(*, user: User, skills: Iterable[str], actor: User | None) -> Rater:
    """What somebody can judge, in every project: an item that names a skill goes to those who have it."""
    wanted = sorted({skill for one in skills if (skill := storable(one).lower())})
    if any(len(skill) > LONGEST_SKILL for skill in wanted) or len(wanted) > MOST_SKILLS:
        raise MemberRefused(f"At most {MOST_SKILLS} skills, of at most {LONGEST_SKILL} characters each.")
    rater = Rater.objects.select_for_update().get(pk=person_rater(user=user).pk)
    if rater.skills != wanted:
        detail: dict[str, object] = {"from": rater.skills, "to": wanted}
        rater.skills = wanted
        rater.save(update_fields=["skills"])
        audit.record(actor=actor, action="annotations.skills_set", target=rater, detail=detail)
    return rater


def assignments_end(*, project: Project, rater: Rater) -> int:
    """What is assigned to somebody or held by them goes back to the queue; returns how many items."""
    mine = Turn.objects.filter(project=project, rater=rater, state__in=(Turn.State.HELD, Turn.State.ASSIGNED))
    return mine.delete()[0]


def _membership(project: Project, user: User) -> Membership:
    """The row of somebody, locked; made where what holds for them was so far what holds for everybody."""
    Membership.objects.get_or_create(project=project, rater=person_rater(user=user))
    rows = Membership.objects.select_for_update(of=("self",)).select_related("rater")
    return rows.get(project=project, rater=person_rater(user=user))


def _changed(membership: Membership, actor: User | None, action: str, **fields: bool | int | None) -> None:
    for name, value in fields.items():
        setattr(membership, name, value)
    membership.save(update_fields=list(fields))
    audit.record(actor=actor, action=f"annotations.{action}", target=membership, detail=dict(fields))
