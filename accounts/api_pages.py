"""Lists over HTTP, page by page."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field
from ninja.pagination import LimitOffsetPagination

# Further than any list goes, and as far as the database can count.
FURTHEST = (1 << 63) - 1


class Pages(LimitOffsetPagination):
    class Input(LimitOffsetPagination.Input):
        offset: int = Field(0, ge=0, le=FURTHEST)

    def paginate_queryset(self, queryset: QuerySet[Any], pagination: Any, request: HttpRequest, **params: Any) -> Any:
        page = super().paginate_queryset(queryset, pagination, request, **params)
        return page | {self.items_attribute: list(page[self.items_attribute])}
