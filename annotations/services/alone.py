"""One at a time in a project: imports, scoring by gold answers, and items that go or come back."""

from django.db import connection

from annotations.models import Project


def alone(project: int) -> Project:
    """The project, with its settings as they are until this transaction ends, and no other of these in it meanwhile.

    Two imports that hold the same items would wait for each other crosswise. And the counts of scores are right only where an
    item and its scores do not change at the same time: whoever scores by hand has the item's row; these, which write thousands,
    have the project. By a lock of its own, so that nobody who scores need wait to count a revised answer.
    """
    with connection.cursor() as run:
        run.execute("SELECT pg_advisory_xact_lock(hashtext('annotations.import'), %s::bigint::bit(32)::int)", [project])
        run.execute("SELECT FROM annotations_project WHERE id = %s FOR KEY SHARE", [project])
    return Project.objects.get(pk=project)
