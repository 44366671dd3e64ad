"""The index of words, kept quick for whoever changes items next.

What a change adds to it waits in a list, and whoever fills the list sorts it in, which takes seconds. Vacuum does it once a
minute. Whoever changes very many items at once has it done right after, beside their request.
"""

from threading import Thread

from django.db import connection, transaction

# A change of fewer items adds little to the list.
MANY = 200


def words_sort_soon(*, changed: int) -> None:
    """After this transaction, and without waiting for it, sort in what it added, where that is much."""
    if changed >= MANY:
        transaction.on_commit(lambda: Thread(target=_sort_and_close, daemon=True).start())


def words_sort() -> None:
    """Sort in what has been added. For jobs, which nobody waits for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('item_search')")


def _sort_and_close() -> None:
    try:
        words_sort()
    finally:
        connection.close()
