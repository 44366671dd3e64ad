"""Rows of the items page, as one person may see them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from annotations.models import Item
from annotations.selectors.item_matches import LEADS_PRIORITY
from annotations.selectors.items import item_rows
from annotations.selectors.scores import looks_open, shown_rewards


@dataclass(frozen=True)
class ShownRow:
    """An item in the list; None where there is nothing to show, or nothing that this person may see."""

    item: Item
    state: str | Promise
    badge: str
    has_score: bool
    score: float | None
    # People's, where it is another.
    median: float | None
    spread: float | None
    # Of how many; annotators are not told.
    people: int | None
    priority: int | None
    tags: list[str]


@dataclass(frozen=True)
class ShownRows:
    """Rows in order; `revealed` are the items where they tell others' scores."""

    rows: list[ShownRow]
    revealed: list[int]


def shown_rows(*, items: Sequence[int], user: User) -> ShownRows:
    """The rows of these items, in this order."""
    rows = item_rows(items=items)
    told = shown_rewards(items=rows, user=user)
    revealed, is_member = set(told.revealed), user.has_role("member")
    return ShownRows([_row(item, told.medians, item.pk in revealed, is_member) for item in rows], told.revealed)


def _row(item: Item, medians: dict[int, float | None], is_revealed: bool, is_member: bool) -> ShownRow:
    has_score = item.pk in medians
    state, badge = _state(item, is_member, looks_open(item=item, is_member=is_member, has_scored=has_score))
    score = medians.get(item.pk)
    # The list is filtered and sorted by people's median; where a lead has decided otherwise, both are told.
    median = item.consensus if is_revealed and item.consensus != score else None
    return ShownRow(
        item=item,
        state=state,
        badge=badge,
        has_score=has_score,
        score=score,
        median=median,
        spread=item.spread if is_revealed else None,
        people=item.people_scores if is_member else None,
        priority=item.priority if is_member and item.priority >= LEADS_PRIORITY else None,
        tags=item.tags if is_member else [],
    )


def _state(item: Item, is_member: bool, is_open: bool) -> tuple[str | Promise, str]:
    if item.deleted_at is not None:
        return _("deleted"), "failed"
    if item.open_flags:
        return _("flagged"), "stopped"
    if item.gold_score is not None and is_member:
        return _("gold"), ""
    if is_open:
        return _("needs scores"), ""
    return (_("done"), "succeeded") if item.people_scores else ("", "")
