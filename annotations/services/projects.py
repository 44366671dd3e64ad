"""Projects and their rubric versions."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.text import slugify

from accounts import audit
from accounts.models import User
from annotations.models import Item, Project, RubricVersion
from annotations.rubric import DEFAULT_RUBRIC, Rubric, load_rubric

# The address of the form for a new project.
RESERVED = "new"


def rubric_version(*, rubric: Rubric) -> RubricVersion:
    """The row of this rubric: found by its content, or made."""
    return RubricVersion.objects.get_or_create(
        content_hash=rubric.content_hash,
        defaults={
            "name": rubric.name,
            "version": rubric.version,
            "title": rubric.title,
            "data": rubric.model_dump(mode="json"),
        },
    )[0]


@transaction.atomic
def project_create(
    *, name: str, actor: User | None, guidelines: str = "", raters_per_item: int = 1, rubric: str = DEFAULT_RUBRIC
) -> Project:
    """A new project under the rubric in `rubrics/<rubric>.toml`. `raters_per_item` 0: gold answers alone score.

    Raises ValidationError for a name that is taken or empty.
    """
    project = Project(
        name=name.strip(),
        slug=_free_slug(name),
        guidelines=guidelines,
        raters_per_item=raters_per_item,
        rubric_version=rubric_version(rubric=load_rubric(rubric)),
    )
    _save(project)
    audit.record(actor=actor, action="annotations.project_created", target=project)
    return project


@transaction.atomic
def project_update(
    *, project: Project, actor: User | None, name: str, guidelines: str, raters_per_item: int, rubric: str | None = None
) -> Project:
    """Change a project. Items open or close as they now have too few scores or enough. The address stays."""
    # Not `no_key`: whoever scores here holds the project as it is until their score is counted.
    project = Project.objects.select_for_update().get(pk=project.pk)
    before = {"name": project.name, "raters_per_item": project.raters_per_item}
    project.name, project.guidelines, project.raters_per_item = name.strip(), guidelines, raters_per_item
    if rubric:
        project.rubric_version = rubric_version(rubric=load_rubric(rubric))
    _save(project)
    if before["raters_per_item"] != raters_per_item:
        _reopen(project)
    after = {"name": project.name, "raters_per_item": project.raters_per_item}
    audit.record(actor=actor, action="annotations.project_updated", target=project, detail={"from": before, "to": after})
    return project


def _save(project: Project) -> None:
    """Raises ValidationError also where somebody else took the name in the same instant."""
    project.full_clean()
    try:
        with transaction.atomic():
            project.save()
    except IntegrityError as error:
        raise ValidationError("There is a project of that name by now; choose another name.") from error


def _reopen(project: Project) -> None:
    """Set every item's `is_open` by the project's new number of raters; whoever's count it was stays as it is."""
    items = Item.objects.filter(project=project)
    items.filter(is_open=True, people_scores__gte=project.raters_per_item).update(is_open=False)
    items.filter(is_open=False, people_scores__lt=project.raters_per_item).update(is_open=True)
    closed = items.filter(is_open=False, people_scores__gt=0).count() if project.raters_per_item else 0
    told = sum(project.progress.values_list("completed", flat=True))
    first = project.progress.order_by("pk").first()
    if first is not None:
        # The sum over raters is what counts; one row carries the correction.
        project.progress.filter(pk=first.pk).update(completed=F("completed") + closed - told)


def _free_slug(name: str) -> str:
    base = slugify(name)[:70] or "project"
    taken = {RESERVED, *Project.objects.filter(slug__startswith=base).values_list("slug", flat=True)}
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return base if base not in taken else next(slug for slug in numbered if slug not in taken)
