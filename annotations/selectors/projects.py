"""Projects, how far they are, and where somebody's scores are wanted."""

from dataclasses import dataclass

from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery

from accounts.models import User
from annotations.models import Item, Progress, Project, Turn


@dataclass(frozen=True)
class ProjectProgress:
    """How far a project is, exact: the sum of the raters' running counts."""

    items: int
    done: int
    scores: int
    mine: int

    @property
    def left(self) -> int:
        return max(0, self.items - self.done)

    @property
    def share(self) -> float | None:
        return self.done / self.items if self.items else None


def project_list() -> QuerySet[Project]:
    return Project.objects.select_related("rubric_version")


# One row per rater, so the sums are exact and no row is everybody's.
PROGRESS = """
SELECT coalesce(sum(progress.completed), 0), coalesce(sum(progress.scored) FILTER (WHERE rater.kind = 'person'), 0),
  coalesce(sum(progress.scored) FILTER (WHERE rater.user_id = %(user)s), 0)
FROM annotations_progress AS progress JOIN annotations_rater AS rater ON rater.id = progress.rater_id
WHERE progress.project_id = %(project)s
"""


def project_progress(*, project: Project, user: User | None = None) -> ProjectProgress:
    with connection.cursor() as run:
        run.execute(PROGRESS, {"project": project.pk, "user": user.pk if user else None})
        done, scores, mine = run.fetchone()
    return ProjectProgress(items=project.task_count, done=done, scores=scores, mine=mine)


def rater_progress(*, project: Project) -> QuerySet[Progress]:
    """Who has scored how much here."""
    return Progress.objects.filter(project=project, scored__gt=0).select_related("rater").order_by("-scored")


def next_project(*, user: User) -> Project | None:
    """The project where this person's scores are wanted: where they scored last, else the first with open items."""
    open_items = Item.objects.filter(project=OuterRef("pk"), is_open=True)
    turns = Turn.objects.filter(project=OuterRef("pk"), rater__user=user).order_by("-updated_at")
    with_work = Project.objects.filter(Exists(open_items), raters_per_item__gt=0)
    latest = with_work.annotate(at=Subquery(turns.values("updated_at")[:1]))
    return latest.order_by(F("at").desc(nulls_last=True), "name").first()


def scoring_projects() -> list[Project]:
    """Projects that ask people for scores."""
    return list(project_list().filter(raters_per_item__gt=0).order_by(F("item_count").desc(), "name"))
