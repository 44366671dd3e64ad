"""A filter of items, as the operations take it."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Schema
from ninja.errors import HttpError

from annotations import selectors
from annotations.api.common import Text, acting_user
from annotations.selectors import ITEM_SORTS, ITEM_STATES, ItemFilter


class ItemQuery(Schema):
    """As in the address of the Items page; what is left out asks for nothing."""

    project: Text = Field(default="", description="Its address part or its name.")
    q: Text = Field(default="", description="Words, “a phrase”, -without; or the number of an item.")
    state: Text = Field(default="", description=f"One of {', '.join(filter(None, ITEM_STATES))}.")
    to: Text = Field(default="", description="Assigned to this person.")
    source: Text = Field(default="", description="The model that answered.")
    tag: Text = ""
    skill: Text = ""
    score_min: Text = Field(default="", description="People’s median; for annotators their own score.")
    score_max: Text = ""
    spread: Text = Field(default="", description="People’s scores lie at least so far apart.")
    confidence_min: Text = ""
    confidence_max: Text = ""
    knowledge: Text = Field(default="", description="known or unknown")
    iteration: Text = Field(default="", description="The round of a revised answer; 0: as imported.")
    since: Text = Field(default="", description="Imported since: 2026-11-30, 7d or 24h.")
    sort: Text = Field(default="", description=f"One of {', '.join(filter(None, ITEM_SORTS))}; by default the newest first.")


def wanted_of(request: HttpRequest, asked: ItemQuery) -> ItemFilter:
    """Raises HttpError 422 where part of it cannot be understood: without it more items would match."""
    values: dict[str, Any] = asked.dict()
    wanted = selectors.item_filter(values={name: value for name, value in values.items() if value}, user=acting_user(request))
    if wanted.refused:
        raise HttpError(422, "; ".join(f"{name}: {why}" for name, why in wanted.refused.items()))
    return wanted
