"""Bulk actions and saved views."""

from django.db.models import Q, QuerySet

from accounts.models import User
from annotations.models import BulkAction, SavedView


def bulk_list(*, user: User | None = None) -> QuerySet[BulkAction]:
    """What was done to many items, newest first; a member sees their own, an admin and the shell all."""
    actions = BulkAction.objects.select_related("actor", "job", "undo_job", "project")
    return actions if user is None or user.has_role("admin") else actions.filter(actor=user)


def saved_views(*, user: User) -> QuerySet[SavedView]:
    """A person's own views, and those that others share."""
    return SavedView.objects.filter(Q(owner=user) | Q(is_shared=True)).select_related("owner").order_by("name", "pk")
