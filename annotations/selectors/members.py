"""Who scores in a project, and how they stand there."""

from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Abs

from accounts.models import User
from annotations.models import Membership, Progress, Project, Rater, Score, Turn


@dataclass(frozen=True)
class Member:
    """How somebody stands in a project."""

    user: User
    rater: Rater | None
    membership: Membership | None
    progress: Progress | None
    assigned: int
    may_score: bool

    @property
    def rater_id(self) -> int:
        """0 for somebody who has never been handed anything anywhere."""
        return self.rater.pk if self.rater else 0

    @property
    def is_paused(self) -> bool:
        return self.membership is not None and not self.membership.is_active


def member_users(*, project: Project) -> QuerySet[User]:
    """Who may score here, or has: everybody who can log in, unless the project is for its members alone."""
    users = User.objects.filter(is_active=True)
    if project.members_only:
        here = Q(rater__memberships__project=project) | Q(rater__progress__project=project)
        users = users.filter(pk__in=User.objects.filter(here).values("pk"))
    return users.order_by("username")


def members_of(*, project: Project, users: list[User]) -> list[Member]:
    """How these people stand in a project."""
    raters = {rater.user_id: rater for rater in Rater.objects.filter(user__in=users)}
    ids = [rater.pk for rater in raters.values()]
    rows = {row.rater_id: row for row in Membership.objects.filter(project=project, rater__in=ids)}
    done = {row.rater_id: row for row in Progress.objects.filter(project=project, rater__in=ids)}
    turns = Turn.objects.filter(project=project, rater__in=ids, state=Turn.State.ASSIGNED)
    assigned = dict(turns.values_list("rater").annotate(Count("pk")))
    told = []
    for user in users:
        rater = raters.get(user.pk)
        key = rater.pk if rater else 0
        membership = rows.get(key)
        may_score = membership.is_active if membership else not project.members_only
        told.append(Member(user, rater, membership, done.get(key), assigned.get(key, 0), may_score))
    return told


def users_to_add(*, project: Project) -> QuerySet[User]:
    """Who can log in and has no membership here."""
    return User.objects.filter(is_active=True).exclude(rater__memberships__project=project).order_by("username")


@dataclass(frozen=True)
class Tried:
    """How many qualification items somebody scored, and how many of them right."""

    answered: int
    right: int


def qualification_counts(*, project: Project) -> dict[int, Tried]:
    """By rater; who has not begun is not in it."""
    gold = {"item__project": project, "item__is_qualification": True, "item__gold_score__isnull": False}
    scores = Score.objects.filter(withdrawn_at=None, rater__kind=Rater.Kind.PERSON, item__deleted_at=None, **gold)
    right = Q(away__lte=0.5)
    rows = scores.annotate(away=Abs(F("overall") - F("item__gold_score"))).order_by().values("rater")
    told = rows.annotate(answered=Count("pk"), right=Count("pk", filter=right))
    return {row["rater"]: Tried(row["answered"], row["right"]) for row in told}
