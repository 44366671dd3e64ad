"""What reviewers see of earlier rounds: answers and critiques, never scores, and never who wrote them."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import Item


@require_GET
@role_required("annotator")
def rounds(request: HttpRequest, pk: int) -> HttpResponse:
    """The rounds before an item: a page, or its middle for the desk, which asks when the fold is opened."""
    user, item = signed_in_user(request), get_object_or_404(Item, pk=pk)
    if not selectors.may_see_rounds(item=item, user=user):
        raise PermissionDenied
    found = selectors.rounds_before(item=item, user=user)
    services.scores_shown(items=[one.item.pk for one in found if one.critique and not one.is_mine], actor=user)
    context = {"item": item, "rounds": found}
    return render(request, "annotations/_rounds.html" if request.htmx else "annotations/rounds.html", context)  # type: ignore[attr-defined]
