"""Imports and dataset versions."""

from django.db.models import QuerySet

from annotations.models import DatasetVersion, Import, Project


def import_list(*, project: Project | None = None) -> QuerySet[Import]:
    imports = Import.objects.select_related("project", "job", "requested_by")
    return imports.filter(project=project) if project else imports


def dataset_list() -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.select_related("project", "job", "requested_by")
