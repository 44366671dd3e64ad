"""Taking rankings. What is handed out, drafts, skips and flags are the desk's (views/score.py)."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from accounts.roles import role_required, signed_in_user
from annotations import services
from annotations.forms.rankings import RankingForm, order_given
from annotations.services import ScoringRefused
from annotations.views.score import first_errors, go_on, item_at_hand, refuse, time_taken


@require_POST
@role_required("annotator")
def compare_submit(request: HttpRequest, pk: int) -> HttpResponse:
    user, item = signed_in_user(request), item_at_hand(pk)
    form, order = RankingForm(request.POST), order_given(request.POST)
    if not form.is_valid():
        return refuse(request, item.project.slug, first_errors(form), item)
    data = form.cleaned_data
    try:
        services.ranking_submit(
            item=item,
            actor=user,
            submission=data["submission"],
            shown=order.shown,
            # An order that was begun and left, and then "all are bad", is none.
            ranks=() if data["all_bad"] and not order.is_whole else order.ranks if order.is_begun else (),
            all_bad=data["all_bad"],
            critique=data["critique"],
            seconds=time_taken(data["seconds"], request),
        )
    except ScoringRefused as refused:
        return refuse(request, item.project.slug, str(refused), item)
    return go_on(request, item, user)
