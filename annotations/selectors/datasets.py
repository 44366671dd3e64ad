"""Imports and dataset versions."""

from typing import NamedTuple

from django.db.models import QuerySet

from annotations.models import DatasetVersion, Import, Project
from jobs.models import ENDED


def import_list(*, project: Project | None = None) -> QuerySet[Import]:
    imports = Import.objects.select_related("project", "job", "requested_by")
    return imports.filter(project=project) if project else imports


class DatasetCounts(NamedTuple):
    """How many dataset versions are ready, and how many are being built or wait to be."""

    built: int
    building: int


def dataset_counts() -> DatasetCounts:
    unready = DatasetVersion.objects.filter(ready_at=None, job__isnull=False)
    return DatasetCounts(DatasetVersion.objects.ready().count(), unready.exclude(job__state__in=ENDED).count())


def dataset_list() -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.select_related("project", "job", "requested_by")
