"""What the pages of a project's lead say at a glance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from annotations.models import Item, Project
from annotations.selectors.adjudication import disputed_items
from annotations.selectors.revocations import rubric_revocation
from annotations.selectors.rollups import revoked_counts


@dataclass(frozen=True)
class ProjectWarning:
    """Something that a lead should know; `about` is where it is mended: a tab, the ledger ("revoked"), or the settings."""

    text: str
    about: str = ""

    def __str__(self) -> str:
        return self.text


def project_warnings(*, project: Project) -> list[ProjectWarning]:
    """What a lead has asked for that cannot come true as things are, and what counts for nothing."""
    told = [*_revoked(project)]
    gold = Item.objects.filter(project=project, gold_score__isnull=False)
    if project.mode == Project.Mode.COMPARE and (project.gold_share or project.qualification_items):
        told.append(ProjectWarning("Gold and qualification items are for projects that score answers; this one compares them."))
    elif project.gold_share and not gold.filter(is_qualification=False).exists():
        wanted = f"{project.gold_share:.0%} of the items should be gold items"
        told.append(ProjectWarning(f"{wanted}, but there are none besides the qualification items.", "gold"))
    there = gold.filter(is_qualification=True).count()
    if project.mode != Project.Mode.COMPARE and there < project.qualification_items:
        wanted = f"Newcomers should score {project.qualification_items} qualification items first"
        how_many = "is 1." if there == 1 else f"are {there}." if there else "are none, so nobody is asked to."
        told.append(ProjectWarning(f"{wanted}, but there {how_many}", "gold"))
    if project.members_only and not project.memberships.filter(is_active=True).exists():
        told.append(ProjectWarning("Only members may score here, and there are none.", "people"))
    return told


def _revoked(project: Project) -> Iterator[ProjectWarning]:
    version = project.rubric_version
    if rubric_revocation(version):
        yield ProjectWarning(
            f"What is scored under {version} is revoked: the scores here, and those that people still give, count for nothing. "
            "Edit the rubric, and what is scored under its next version counts; or lift the revocation.",
            "revoked",
        )
    elif gone := sum(one.scores for one in revoked_counts(project=project.pk)):
        how_many = (
            "1 score here is revoked, and does not count." if gone == 1 else f"{gone:,} scores here are revoked: none counts."
        )
        yield ProjectWarning(how_many, "revoked")


def tab_counts(*, project: Project) -> dict[str, Any]:
    """What the tabs of a project say beside their names."""
    return {"disputed": disputed_items(project=project).order_by().count(), "gold": project.gold_count}
