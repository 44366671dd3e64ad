"""What the data page reads: dataset versions with their report cards, imports, and counts of scores."""

from dataclasses import dataclass

from django.db.models import BigIntegerField, Count, Q, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from annotations.models import DatasetContributor, DatasetVersion, Import, Project
from annotations.selectors.rollups import Counted, counted_by_kind, counted_by_model_and_kind, revoked_counts
from dashboards.recent import lately, shared
from jobs.models import ENDED
from training.alignment import Card, dataset_card

DATASETS_LISTED = 50
IMPORTS_LISTED = 25
# Of imports' reports.
SUMS = {
    name: Sum(Cast(KT(f"report__{name}"), BigIntegerField()), default=0) for name in ("items_added", "scores_added", "refused")
}


@dataclass(frozen=True)
class Share:
    """How much of a dataset version comes from one rater under one rubric version."""

    rater: str
    kind: str
    rubric: str
    rows: int
    items: int
    scores: int


@dataclass(frozen=True)
class Shown:
    """A dataset version with its card and what it comes from."""

    version: DatasetVersion
    card: Card
    shares: list[Share]


@dataclass(frozen=True)
class Format:
    """What came in by files of one format."""

    name: str
    imports: int
    items: int
    scores: int
    refused: int


@shared
def datasets() -> list[DatasetVersion]:
    """The newest versions, without their reports."""
    return list(DatasetVersion.objects.select_related("project", "job").defer("report")[:DATASETS_LISTED])


@shared
def dataset(name: str) -> Shown | None:
    version = DatasetVersion.objects.select_related("project", "job").filter(name=name).first()
    if version is None:
        return None
    rows = DatasetContributor.objects.filter(version=version).select_related("rater", "rubric_version").order_by("-rows")
    shares = [
        Share(one.rater.name, one.rater.get_kind_display(), str(one.rubric_version), one.rows, one.items, one.scores)
        for one in rows
    ]
    return Shown(version, dataset_card(version), shares)


def is_building() -> bool:
    """Whether a page is to be followed. Shared with nobody: what was read a moment before somebody asks would still it."""
    going = Q(ready_at=None, job__isnull=False) & ~Q(job__state__in=ENDED)
    return DatasetVersion.objects.filter(going | Q(job__finished_at__gt=lately())).exists()


@shared
def projects() -> list[Project]:
    return list(Project.objects.only("name", "slug", "item_count"))


@shared
def imports(*, project: int | None = None) -> list[Import]:
    """The last ones, newest first."""
    found = Import.objects.select_related("project", "job")
    return list((found.filter(project=project) if project else found)[:IMPORTS_LISTED])


@shared
def formats(*, project: int | None = None) -> list[Format]:
    """What came in by files, by their format; what was taken back is not counted."""
    known = Import.objects.filter(undone_at=None)
    asked = known.filter(project=project) if project else known
    rows = asked.values_list("source_format").annotate(imports=Count("pk"), **SUMS).order_by("source_format")
    found = [Format(name, *numbers) for name, *numbers in rows]
    return sorted(found, key=lambda one: -one.items)


@shared
def scores_by_kind(*, project: int | None = None) -> list[Counted]:
    return counted_by_kind(project=project, weekly=True)


@shared
def scores_by_model(*, project: int | None = None) -> list[Counted]:
    """`by` is (model, kind of rater)."""
    return counted_by_model_and_kind(project=project)


@shared
def scores_revoked(*, project: int | None = None) -> int:
    """Live scores that are in none of these counts, because they count for nothing now."""
    return sum(one.scores for one in revoked_counts(project=project))


@shared
def items_in(*, project: int | None = None) -> int:
    found = Project.objects.filter(pk=project) if project else Project.objects.all()
    return int(found.aggregate(count=Sum("item_count", default=0))["count"])
