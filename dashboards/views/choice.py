"""What an address chooses on several pages."""

from collections.abc import Sequence

from django.http import Http404

from annotations.models import Project


def project_named(projects: Sequence[Project], slug: str) -> Project | None:
    """The project of that slug, None where none is named. Raises Http404 where it is not there: an address means no other."""
    project = next((one for one in projects if one.slug == slug), None)
    if slug and project is None:
        raise Http404("There is no such project.")
    return project
