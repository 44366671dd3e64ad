"""How one person stands in one project: what it asks of them, what holds for them alone, how far they are."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Q

from accounts.models import User
from annotations.models import Item, Project
from annotations.services.raters import person_rater

# Why somebody is handed nothing. The page has the words.
NOT_ASKED, NOT_A_MEMBER, PAUSED, CAP, QUALIFICATION = "not-asked", "not-a-member", "paused", "cap", "qualification"


@dataclass(frozen=True)
class Standing:
    """Read once per request, in one statement."""

    project_id: int
    rater_id: int
    mode: str
    # How many people score each item.
    needed: int
    hold: timedelta
    review_rounds: int
    gold_share: float
    disagreement_threshold: float
    extra_raters: int
    skills: tuple[str, ...]
    is_member: bool
    is_paused: bool
    members_only: bool
    # Scores they may give here; None: as many as they like.
    cap: int | None
    # Qualification items that they must score first; 0 where they need not (any more).
    qualification_items: int
    scored: int
    gold: int
    cursor: int
    # Whether any open item goes before the others.
    has_urgent: bool

    @property
    def refusal(self) -> str:
        """Why they may not score here at all, or ""."""
        if not self.needed:
            return NOT_ASKED
        if self.is_paused:
            return PAUSED
        return NOT_A_MEMBER if self.members_only and not self.is_member else ""


# Gold items are scored, so where answers are compared there are none, and no qualification.
# FOR KEY SHARE: a change of the project's settings waits for whoever scores in it, and the other way round; scorers do not
# wait for each other. To be taken before any item of the project is locked: changing the settings locks in that order.
READ = """
SELECT project.id, rater.id, project.mode, project.raters_per_item, project.hold_minutes, project.review_rounds,
  CASE WHEN project.mode <> 'compare' THEN project.gold_share ELSE 0 END,
  project.disagreement_threshold, project.extra_raters, rater.skills, membership.id IS NOT NULL,
  NOT coalesce(membership.is_active, true), project.members_only, coalesce(membership.cap, project.cap_per_person),
  CASE WHEN membership.qualified_at IS NULL AND project.mode <> 'compare' THEN project.qualification_items ELSE 0 END,
  coalesce(progress.scored, 0), coalesce(progress.gold, 0), coalesce(progress.cursor, -1),
  EXISTS (SELECT FROM annotations_item AS item WHERE item.project_id = project.id AND item.is_open AND item.priority > 0)
FROM annotations_project AS project
LEFT JOIN annotations_rater AS rater ON rater.user_id = %(user)s
LEFT JOIN annotations_membership AS membership ON membership.project_id = project.id AND membership.rater_id = rater.id
LEFT JOIN annotations_progress AS progress ON progress.project_id = project.id AND progress.rater_id = rater.id
WHERE project.id = %(project)s
FOR KEY SHARE OF project
"""


def standing(*, project_id: int, user: User) -> Standing:
    """How `user` stands in a project; it stays so until this transaction ends. Raises Project.DoesNotExist."""
    row = _read(project_id, user)
    if row is not None and row[1] is None:
        person_rater(user=user)
        row = _read(project_id, user)
    if row is None:
        raise Project.DoesNotExist(f"There is no project {project_id} any more.")
    return Standing(
        row[0], row[1], row[2], row[3], timedelta(minutes=row[4]), row[5], row[6], row[7], row[8], tuple(row[9] or ()), *row[10:]
    )


@dataclass(frozen=True)
class Qualification:
    """How far somebody is with the qualification items."""

    asked: int
    answered: int

    @property
    def left(self) -> int:
        return max(0, self.asked - self.answered)


def qualification(*, place: Standing) -> Qualification:
    """How many qualification items they have to score and have scored. A project with too few asks for those it has."""
    items = Item.objects.filter(project=place.project_id, is_qualification=True, gold_score__isnull=False)
    live = Q(scores__rater=place.rater_id, scores__withdrawn_at=None)
    told = items.aggregate(there=Count("pk", distinct=True), answered=Count("scores", filter=live, distinct=True))
    return Qualification(asked=min(place.qualification_items, told["there"]), answered=told["answered"])


def _read(project_id: int, user: User) -> Any:
    with connection.cursor() as run:
        run.execute(READ, {"project": project_id, "user": user.pk})
        return run.fetchone()
