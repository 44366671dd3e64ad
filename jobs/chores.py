"""What is to be done now and then, beside jobs: `settings.CHORES` names what, by dotted name, and every how many seconds.

The reconciler does it, in a thread of its own. However many reconcilers there are, one begins each: whoever moves its row's time
on.
"""

import logging
import threading
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from jobs.models import Chore

logger = logging.getLogger(__name__)

EVERY = 5.0
# One that failed, unless it comes round sooner.
AGAIN_AFTER = timedelta(minutes=5)


def chores_do() -> list[str]:
    """Do what is due; returns the names of what was begun."""
    known = set(Chore.objects.values_list("name", flat=True))
    Chore.objects.bulk_create((Chore(name=name) for name in settings.CHORES if name not in known), ignore_conflicts=True)
    begun = []
    for name, seconds in settings.CHORES.items():
        every = timedelta(seconds=seconds)
        # In the future: begun before the database's clock was set back.
        due = Q(begun_at=None) | Q(begun_at__lte=Now() - every) | Q(begun_at__gt=Now() + every)
        if Chore.objects.filter(due, name=name).update(begun_at=Now()):
            begun.append(name)
            _do(name, every)
    return begun


def _do(name: str, every: timedelta) -> None:
    try:
        import_string(name)()
    except Exception as error:  # a chore may be anything; whatever is wrong with one is logged, and the next one is waiting
        logger.exception("%s failed", name)
        if isinstance(error, DatabaseError):
            connection.close()
        Chore.objects.filter(name=name).update(begun_at=Now() - every + min(every, AGAIN_AFTER))


def do_chores(ended: threading.Event) -> None:
    """Do what is due, again and again until `ended`."""
    while not ended.wait(EVERY):
        try:
            close_old_connections()
            chores_do()
        except DatabaseError:
            logger.warning("the database did not answer; trying again", exc_info=True)
            connection.close()
    connection.close()
