"""Bulk actions in words."""

from django import template
from django.utils.functional import Promise

from annotations.models import BulkAction
from annotations.services.bulk import title
from annotations.services.bulk_changes import LEFT_OUT
from jobs.models import ENDED

register = template.Library()


@register.filter
def bulk_title(record: BulkAction) -> str:
    """What it did, in a few words."""
    return title(record)


@register.filter
def bulk_left_out(record: BulkAction) -> list[tuple[str | Promise, int]]:
    """Why items were left as they were, with how many."""
    return [(LEFT_OUT.get(why, why), number) for why, number in record.left_out.items()]


@register.filter
def bulk_can_undo(record: BulkAction) -> bool:
    under_way = record.done_at is None and record.job is not None and record.job.state not in ENDED
    return bool(record.changed) and record.undo_asked_at is None and not under_way
