"""Taking an import back: its items are deleted as a lead would delete them, its scores and rankings are withdrawn."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from annotations.models import Import, Item, Ranking, Rater, Score
from annotations.services.alone import alone
from annotations.services.deletion import items_deleted
from annotations.services.import_batch import scored_add
from annotations.services.imports import ImportRefused, Tell
from jobs.models import Job
from jobs.services import job_queue

# Items or scores in one transaction.
TOGETHER = 2000
# Of so many the person waits for the end.
DIRECT = 2000


def import_undo(*, record: Import, actor: User | None) -> Import:
    """Take an import back: at once where it is small, else as a background job. One that is not finished is given up.

    What people have scored of its items is deleted with them, and comes back where the items are restored. A score that one of
    the import's had replaced stands again. Raises ImportRefused where it was taken back before.
    """
    with transaction.atomic():
        record = Import.objects.select_for_update(of=("self",)).get(pk=record.pk)
        if record.undone_at is not None:
            raise ImportRefused(f"The import of {record.file_name} was taken back already.")
        record.undone_at = timezone.now()
        record.save(update_fields=["undone_at"])
        audit.record(actor=actor, action="annotations.import_undone", target=record, detail={"import": record.pk})
        told = record.report
        is_small = (
            sum(told.get(name, 0) for name in ("items_added", "items_restored", "scores_added", "rankings_added")) <= DIRECT
        )
        if not is_small:
            record.job = _queued(record, actor)
            record.save(update_fields=["job"])
    if is_small:
        import_undo_carry_out(record=record)
    return record


def import_undo_carry_out(*, record: Import, tell: Tell | None = None) -> dict[str, int]:
    """Do what an undo asked for; one that was cut off goes on, since what is undone already is found no more."""
    if record.undone_at is None:
        raise ImportRefused("Nobody has asked to take this import back.")
    steps: tuple[tuple[str, Callable[[Import], int]], ...] = (
        ("scores", _scores_withdrawn), ("rankings", _rankings_withdrawn), ("items", _items_gone)
    )  # fmt: skip
    total, done = _brought(record), 0
    for name, step in steps:
        while count := _step(record.pk, name, step):
            done += count
            if tell:
                tell(done, max(done, total))
    with transaction.atomic():
        kept = Import.objects.select_for_update(of=("self",)).get(pk=record.pk)
        undone = {"scores": 0, "rankings": 0, "items": 0} | kept.report.get("undone", {}) | {"done": 1}
        kept.report = {**kept.report, "undone": undone}
        kept.save(update_fields=["report"])
    record.report = kept.report
    return {name: int(count) for name, count in undone.items() if name != "done"}


def _brought(record: Import) -> int:
    names = ("items_added", "items_restored", "scores_added", "rankings_added")
    return sum(int(record.report.get(name, 0)) for name in names)


@transaction.atomic
def _step(pk: int, name: str, step: Callable[[Import], int]) -> int:
    """Some thousand of one kind, and their number in the report, in one transaction."""
    project = Import.objects.values_list("project", flat=True).get(pk=pk)
    alone(project)
    record = Import.objects.select_for_update(of=("self",)).select_related("project").get(pk=pk)
    count = step(record)
    undone: Counter[str] = Counter(record.report.get("undone", {}))
    undone[name] += count
    record.report = {**record.report, "undone": dict(undone)}
    record.save(update_fields=["report"])
    return count


def _items_gone(record: Import) -> int:
    """What the import brought and is still there; what it brought and somebody deleted stays as it is."""
    span = Item.objects.filter(project=record.project_id, pk__range=(record.first_item or 0, record.last_item or 0))
    items = list(span.filter(source_import=record).order_by("pk").values_list("pk", flat=True)[:TOGETHER])
    return len(items_deleted(items=items, stamp=record.undone_at).items) if items else 0


def _scores_withdrawn(record: Import) -> int:
    """A gold item's reference stays with its item: it is of no use without, and needed where the item comes back."""
    live = Score.objects.filter(pk__range=(record.first_score or 0, record.last_score or 0), source_import=record)
    rows = list(live.filter(withdrawn_at=None).exclude(rater__kind=Rater.Kind.ADJUDICATOR).order_by("pk")[:TOGETHER])
    return _withdrawn(record, rows, Score)


def _rankings_withdrawn(record: Import) -> int:
    live = Ranking.objects.filter(item__project=record.project_id, source_import=record, withdrawn_at=None)
    return _withdrawn(record, list(live.order_by("pk")[:TOGETHER]), Ranking)


def _withdrawn(record: Import, rows: list[Any], model: Any) -> int:
    """Withdraw, and let what each of them had replaced stand again: the latest that no other undo has taken back."""
    if not rows:
        return 0
    model.objects.filter(pk__in=[row.pk for row in rows]).update(withdrawn_at=timezone.now())
    waiting, again = {row.pk: row.replaces_id for row in rows}, set()
    while wanted := {pk for pk in waiting.values() if pk}:
        earlier = model.objects.filter(pk__in=wanted).select_related("source_import").in_bulk()
        again |= {pk for pk, one in earlier.items() if not _is_undone(one)}
        waiting = {pk: one.replaces_id for pk, one in earlier.items() if _is_undone(one)}
    raters = dict(model.objects.filter(pk__in=again).values_list("pk", "rater"))
    model.objects.filter(pk__in=again).update(withdrawn_at=None)
    change = Counter(raters.values())
    change.subtract(row.rater_id for row in rows)
    scored_add(project=record.project, scored=change)
    return len(rows)


def _is_undone(one: Any) -> bool:
    return one.source_import is not None and one.source_import.undone_at is not None


def _queued(record: Import, actor: User | None) -> Job:
    return job_queue(
        kind="annotations.import",
        title=f"Undo the import of {record.file_name} into {record.project.name}",
        payload={"import": record.pk, "undo": True},
        hardware_tag="site",
        actor=actor,
    )
