"""One change of many items at once, which can be undone.

The items are chosen when the action is asked for, in batches. Each batch changes in a transaction of its own that also marks it
as done: an action that is cut off goes on where it was, and no item is changed twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg.errors import LockNotAvailable

from accounts import audit
from accounts.models import User
from annotations.models import BulkAction, BulkBatch, Item, Membership, Project, Rater
from annotations.selectors.item_filter import ItemFilter
from annotations.selectors.item_matches import item_matches
from annotations.services.bulk_changes import KINDS, Kind, Work
from annotations.services.raters import person_rater
from annotations.services.search_index import words_sort, words_sort_soon
from annotations.services.turns import storable
from jobs.models import ENDED
from jobs.services import job_queue

BATCH = 500
# Up to this many items change while the person waits; of more, a worker takes care.
DIRECT_ITEMS = 2_000
BATCHES_BETWEEN_RESTS = 4
MOST_NAMED = 10_000
LONGEST_TAG, LONGEST_SKILL, HIGHEST_PRIORITY = 40, 40, 9
# An import holds its project until the file is read; nobody should wait for that in front of a page.
PATIENCE_MS = 3_000

Tell = Callable[[int, int], None]


class BulkRefused(ValueError):  # noqa: N818 - reads as what happened
    """This cannot be done to many items at once; the message says why."""


def bulk_start(
    *, action: str, settings: dict[str, Any], wanted: ItemFilter | None = None, items: Sequence[int] = (), actor: User | None
) -> BulkAction:
    """Do something to many items: to those that are named, or to all that `wanted` finds for `actor`.

    `settings` say what: {"tags": […]} to tag and untag, {"value": …} for skill and priority, {"people": […], "how": "turns"
    or "all"} to assign, {"people": […]} or nothing to unassign. Up to DIRECT_ITEMS are done on return; more are queued as
    a job. Raises BulkRefused.
    """
    kind = _kind(action, actor)
    settings = _checked(action, settings)
    if wanted is None and not items:
        raise BulkRefused(_("Choose some items first."))
    if len(items) > MOST_NAMED:
        raise BulkRefused(_("Name at most %s items; ask for more by a filter.") % MOST_NAMED)
    with transaction.atomic():
        named = {"query": wanted.query} if wanted is not None else {"named": len(items)}
        record = BulkAction.objects.create(
            action=action, settings=settings | named, project=wanted.project if wanted else None, actor=actor
        )
        record.chosen = _choose(record, wanted, items, actor)
        if not record.chosen:
            raise BulkRefused(_("No item matches; nothing was changed."))
        if action == "assign":
            _check_assignable(record)
        _note(record, f"annotations.items_{PAST[action]}", {"settings": record.settings, "items": record.chosen})
        if record.chosen > DIRECT_ITEMS:
            record.job = _queued(record, undo=False)
        record.save()
        if record.job is None:
            _patiently(lambda: _batches_done(record, kind, None))
            words_sort_soon(changed=record.chosen)
    record.refresh_from_db()
    return record


PAST = {
    "tag": "tagged", "untag": "untagged", "skill": "given_skill", "priority": "given_priority", "assign": "assigned",
    "unassign": "unassigned", "delete": "deleted", "restore": "restored",
}  # fmt: skip


def bulk_carry_out(*, record: BulkAction, tell: Tell | None = None, stopped: Callable[[], bool] | None = None) -> BulkAction:
    """Do what is left of an action; each batch is a transaction. With `stopped` it ends between two batches when asked to."""
    _batches_done(record, KINDS[record.action], tell, stopped)
    record.refresh_from_db()
    return record


def bulk_undo(*, record: BulkAction, actor: User | None) -> BulkAction:
    """Take back what an action changed, wherever that still stands. Raises BulkRefused."""
    if actor is not None and not actor.has_role("admin") and record.actor_id != actor.pk:
        raise BulkRefused(_("Only whoever did this, or an admin, can undo it."))
    with transaction.atomic():
        record = BulkAction.objects.select_for_update(of=("self",)).get(pk=record.pk)
        if record.undo_asked_at is not None:
            return record
        if record.done_at is None and record.job and record.job.state not in ENDED:
            raise BulkRefused(_("This is still under way. Stop its job first; what it has done until then can be undone."))
        record.undo_asked_at = timezone.now()
        _note(record, "annotations.bulk_undone", {"action": record.action, "items": record.changed}, actor)
        if record.changed > DIRECT_ITEMS:
            record.undo_job = _queued(record, undo=True)
        record.save(update_fields=["undo_asked_at", "undo_job"])
        if record.undo_job is None:
            _patiently(lambda: _batches_undone(record, None))
            words_sort_soon(changed=record.changed)
    record.refresh_from_db()
    return record


def bulk_undo_carry_out(*, record: BulkAction, tell: Tell | None = None, stopped: Callable[[], bool] | None = None) -> BulkAction:
    """Undo what is left to be undone of an action whose undo was asked for."""
    _batches_undone(record, tell, stopped)
    record.refresh_from_db()
    return record


def _kind(action: str, actor: User | None) -> Kind:
    kind = KINDS.get(action)
    if kind is None:
        raise BulkRefused(_("“%(action)s” is none of %(known)s.") % {"action": action, "known": ", ".join(KINDS)})
    if actor is not None and not actor.has_role(kind.role):
        raise BulkRefused(_("That is for the role %s.") % kind.role)
    return kind


def _checked(action: str, settings: dict[str, Any]) -> dict[str, Any]:
    if action in {"tag", "untag"}:
        return {"tags": tags_read(settings.get("tags") or [])}
    if action == "skill":
        skill = storable(str(settings.get("value") or ""))
        if len(skill) > LONGEST_SKILL:
            raise BulkRefused(_("A skill has at most %s characters.") % LONGEST_SKILL)
        return {"value": skill}
    if action == "priority":
        return {"value": _priority(settings.get("value"))}
    if action in {"assign", "unassign"}:
        return _people(action, settings)
    return {}


def tags_read(given: Iterable[str]) -> list[str]:
    """Tags as they are kept: trimmed, each once. Raises BulkRefused."""
    tags = list(dict.fromkeys(filter(None, (" ".join(storable(str(one)).split()) for one in given))))
    if not tags:
        raise BulkRefused(_("Say which tag."))
    if len(tags) > 10 or any(len(tag) > LONGEST_TAG or "," in tag for tag in tags):
        raise BulkRefused(_("At most ten tags at once, each of at most %s characters, without commas.") % LONGEST_TAG)
    return tags


def _priority(value: Any) -> int:
    """0 is as drawn; 1 is what disputed items have, and not a lead's to give."""
    text = str(value).strip()
    if not text.isascii() or not text.isdigit() or not (int(text) == 0 or 2 <= int(text) <= HIGHEST_PRIORITY):
        raise BulkRefused(_("A priority is 0 (none) or 2 to %s, the highest first.") % HIGHEST_PRIORITY)
    return int(text)


def _people(action: str, settings: dict[str, Any]) -> dict[str, Any]:
    names = list(dict.fromkeys(settings.get("people") or []))
    found = {user.username: user for user in User.objects.filter(username__in=names, is_active=True)}
    if missing := [name for name in names if name not in found]:
        raise BulkRefused(_("There is nobody named %s.") % ", ".join(missing))
    if not names and action == "assign":
        raise BulkRefused(_("Say to whom."))
    raters = [person_rater(user=found[name]).pk for name in names]
    if action == "unassign":
        return {"people": names, "raters": raters or None}
    how = settings.get("how") or "turns"
    if how not in {"turns", "all"}:
        raise BulkRefused(_("“%s” is neither turns nor all.") % how)
    return {"people": names, "raters": raters, "how": how}


CHOOSE = """
INSERT INTO annotations_bulkbatch (action_id, number, items, before)
SELECT %s, number, array_agg(id ORDER BY id), '[]'
FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / %s AS number FROM ({chosen}) AS chosen (id)) AS numbered
GROUP BY number ORDER BY number
"""


def _choose(record: BulkAction, wanted: ItemFilter | None, items: Sequence[int], actor: User | None) -> int:
    """Write down which items it is about, in batches; returns how many."""
    if wanted is None:
        # Only those that the person could have ticked.
        known = Item.every.filter(pk__in=set(items), deleted_at__isnull=record.action != "restore")
        arms = [known.order_by().values_list("pk")]
    else:
        arms = [arm.items.order_by().values_list("pk") for arm in item_matches(wanted=wanted, user=actor).arms]
    parts = [arm.query.sql_with_params() for arm in arms]
    chosen = " UNION ALL ".join(f"({statement})" for statement, _params in parts)
    with connection.cursor() as cursor:
        values = [value for _statement, params in parts for value in params]
        cursor.execute(CHOOSE.format(chosen=chosen), [record.pk, BATCH, *values])
        cursor.execute("SELECT coalesce(sum(cardinality(items)), 0) FROM annotations_bulkbatch WHERE action_id = %s", [record.pk])
        return int(cursor.fetchone()[0])


PROJECTS_OF = """
SELECT DISTINCT item.project_id FROM annotations_bulkbatch AS batch, unnest(batch.items) AS chosen (id)
JOIN annotations_item AS item ON item.id = chosen.id WHERE batch.action_id = %s
"""


def _check_assignable(record: BulkAction) -> None:
    """Who may not score in a project can be assigned nothing there."""
    with connection.cursor() as cursor:
        cursor.execute(PROJECTS_OF, [record.pk])
        projects = Project.objects.filter(pk__in=[pk for (pk,) in cursor.fetchall()])
    for project in projects:
        if not project.raters_per_item:
            raise BulkRefused(_("%s asks nobody for scores.") % project.name)
        active = dict(
            Membership.objects.filter(project=project, rater__in=record.settings["raters"]).values_list("rater", "is_active")
        )
        for rater in Rater.objects.filter(pk__in=record.settings["raters"]):
            if not active.get(rater.pk, not project.members_only):
                raise BulkRefused(_("%(name)s may not score in %(project)s.") % {"name": rater.name, "project": project.name})


def _queued(record: BulkAction, *, undo: bool) -> Any:
    what = _("Undo: %s") % title(record) if undo else title(record)
    return job_queue(
        kind="annotations.bulk", title=what, payload={"action": record.pk, "undo": undo}, hardware_tag="site", actor=record.actor
    )


def title(record: BulkAction) -> str:
    """What it does, in a few words."""
    told = record.settings
    value = ", ".join(told.get("tags") or told.get("people") or []) or str(told.get("value", ""))
    items = ngettext("%s item", "%s items", record.chosen) % f"{record.chosen:,}"
    words = {
        "tag": _("Tag %(items)s “%(value)s”"),
        "untag": _("Take the tag “%(value)s” off %(items)s"),
        "skill": _("Skill “%(value)s” for %(items)s") if value else _("No skill for %(items)s"),
        "priority": _("Priority %(value)s for %(items)s"),
        "assign": _("Assign %(items)s to %(value)s"),
        "unassign": _("Take back the assignment of %(items)s"),
        "delete": _("Delete %(items)s"),
        "restore": _("Restore %(items)s"),
    }
    return words[record.action] % {"value": value, "items": items}


def _note(record: BulkAction, action: str, detail: dict[str, object], actor: User | None = None) -> None:
    audit.record(actor=actor or record.actor, action=action, target=record, detail={"bulk_action": record.pk, **detail})


def _patiently(work: Callable[[], None]) -> None:
    """Raises BulkRefused where somebody holds what it needs for longer than a person waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(PATIENCE_MS)])
    try:
        work()
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        busy = _(
            "Somebody is changing these items or reading a file into their project. Nothing was changed; try again in a moment."
        )
        raise BulkRefused(busy) from error
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', '0', true)")


def _batches_done(record: BulkAction, kind: Kind, tell: Tell | None, stopped: Callable[[], bool] | None = None) -> None:
    waiting = list(record.batches.filter(done_at=None).order_by("number").values_list("pk", flat=True))
    total, done = record.batches.count(), 0
    for done, pk in enumerate(waiting, total - len(waiting) + 1):
        if (stopped and stopped()) or not _batch_done(record.pk, kind, pk):
            return
        if tell:
            tell(done, total)
            _rest(done)
    BulkAction.objects.filter(pk=record.pk, done_at=None, undo_asked_at=None).update(done_at=timezone.now())


def _rest(done: int) -> None:
    """Between batches of a job, so that nobody in front of a page has to sort in what the job added."""
    if done % BATCHES_BETWEEN_RESTS == 0:
        words_sort()


@transaction.atomic
def _batch_done(action: int, kind: Kind, pk: int) -> bool:
    """False where the action's undo was asked for: then nothing more is done for it."""
    record = BulkAction.objects.select_for_update(of=("self",), no_key=True).get(pk=action)
    if record.undo_asked_at is not None:
        return False
    batch = BulkBatch.objects.select_for_update().get(pk=pk)
    if batch.done_at is not None:  # another process came first
        return True
    # In turns, whoever is next: as many as were changed so far have been given out.
    made = kind.made(Work(batch.items, record.settings, record.changed))
    batch.items, batch.before, batch.done_at = made.items, made.before, timezone.now()
    batch.save(update_fields=["items", "before", "done_at"])
    record.changed += len(made.items)
    record.left_out = dict(Counter(record.left_out) + Counter(made.left_out))
    record.save(update_fields=["changed", "left_out"])
    return True


def _batches_undone(record: BulkAction, tell: Tell | None, stopped: Callable[[], bool] | None = None) -> None:
    # The last first: where batches depend on each other, they do so in this order.
    waiting = list(record.batches.exclude(done_at=None).filter(undone_at=None).order_by("-number").values_list("pk", flat=True))
    total = record.batches.exclude(done_at=None).count()
    for done, pk in enumerate(waiting, total - len(waiting) + 1):
        if stopped and stopped():
            return
        _batch_undone(record.pk, pk)
        if tell:
            tell(done, total)
            _rest(done)
    BulkAction.objects.filter(pk=record.pk).update(undone_at=timezone.now())


@transaction.atomic
def _batch_undone(action: int, pk: int) -> None:
    record = BulkAction.objects.select_for_update(of=("self",), no_key=True).get(pk=action)
    batch = BulkBatch.objects.select_for_update().get(pk=pk)
    if batch.undone_at is not None:
        return
    since = _changed_since(record, batch)
    still = [item for item in batch.items if item not in since]
    back = KINDS[record.action].undone(Work(still, record.settings), batch.before)
    batch.undone_at = timezone.now()
    batch.save(update_fields=["undone_at"])
    BulkAction.objects.filter(pk=action).update(undone=F("undone") + back)


def _changed_since(record: BulkAction, batch: BulkBatch) -> set[int]:
    """The items of a batch in which a later action, that still stands, has changed the same."""
    kind = KINDS[record.action]
    rivals = [name for name, other in KINDS.items() if other.field == kind.field]
    later = BulkBatch.objects.filter(
        Q(action__settings__tags__has_any_keys=record.settings["tags"]) if kind.field == "tags" else Q(),
        action__gt=record.pk, action__action__in=rivals, undone_at=None, items__overlap=batch.items,
    ).exclude(done_at=None)  # fmt: skip
    found: set[int] = set()
    for items in later.values_list("items", flat=True):
        found.update(items)
    return found & set(batch.items)
