"""One at a time in a project: imports, scoring by gold answers, and items that go or come back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from annotations.models import Project

LOOK_EVERY_S = 0.5


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


@contextmanager
def alone_at(what: str, project: int, *, stop: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """No other process does `what` in this project meanwhile; who comes second waits. False where `stop` said so before its turn.

    For runs that take long, outside of transactions: the lock ends with the connection.
    """
    key: list[str | int] = [what, project]
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s), %s::bigint::bit(32)::int)", key)
            if cursor.fetchone()[0]:
                break
            if stop():
                yield False
                return
            time.sleep(LOOK_EVERY_S)
        try:
            yield True
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s), %s::bigint::bit(32)::int)", key)
