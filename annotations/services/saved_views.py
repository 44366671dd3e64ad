"""Filters and orders of the items page that people keep under a name."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from annotations.models import SavedView
from annotations.selectors.item_filter import ItemFilter
from annotations.services.turns import storable

LONGEST_NAME, LONGEST_QUERY = 60, 1000
MOST_VIEWS = 50


class ViewRefused(ValueError):  # noqa: N818 - reads as what happened
    """The view cannot be kept like this; the message says why."""


@transaction.atomic
def view_save(*, name: str, wanted: ItemFilter, is_shared: bool, actor: User) -> SavedView:
    """Keep a filter under a name; one of that name is replaced. Raises ViewRefused."""
    name = _name(name)
    if len(wanted.query) > LONGEST_QUERY:
        raise ViewRefused(_("This filter is too long to be kept."))
    mine = SavedView.objects.filter(owner=actor)
    if not mine.filter(name=name).exists() and mine.count() >= MOST_VIEWS:
        raise ViewRefused(_("You have %s views; delete one first.") % MOST_VIEWS)
    values = {"query": wanted.query, "is_shared": is_shared}
    view, _made = SavedView.objects.update_or_create(owner=actor, name=name, defaults=values)
    audit.record(actor=actor, action="annotations.view_saved", target=view, detail={"shared": is_shared})
    return view


@transaction.atomic
def view_change(*, view: SavedView, name: str, is_shared: bool, actor: User) -> SavedView:
    """Rename a view of one's own, share it or keep it to oneself. Raises ViewRefused."""
    _check_own(view, actor)
    view.name, view.is_shared = _name(name), is_shared
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "is_shared"])
    except IntegrityError as error:
        raise ViewRefused(_("You have a view “%s” already.") % view.name) from error
    audit.record(actor=actor, action="annotations.view_changed", target=view, detail={"shared": is_shared})
    return view


@transaction.atomic
def view_delete(*, view: SavedView, actor: User) -> None:
    """Delete a view of one's own; an admin may delete a shared one. Raises ViewRefused."""
    if not (view.is_shared and actor.has_role("admin")):
        _check_own(view, actor)
    audit.record(actor=actor, action="annotations.view_deleted", target=view)
    view.delete()


def _name(name: str) -> str:
    name = " ".join(storable(name).split())
    if not name or len(name) > LONGEST_NAME:
        raise ViewRefused(_("A view needs a name of at most %s characters.") % LONGEST_NAME)
    return name


def _check_own(view: SavedView, actor: User) -> None:
    if view.owner_id != actor.pk:
        raise ViewRefused(_("This view is another person's."))
