"""How somebody did on a project's qualification items, and what comes next."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.roles import role_required, signed_in_user
from annotations import selectors, services
from annotations.models import Score
from annotations.services.qualification import NOT_ASKED, feedback, feedback_list, outcome
from annotations.services.raters import person_rater


@require_GET
@role_required("annotator")
def qualification(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(selectors.project_list(), slug=slug)
    user = signed_in_user(request)
    rater = person_rater(user=user)
    told = outcome(project=project, rater=rater)
    if told.state == NOT_ASKED:
        return redirect("annotations:score-project", slug=slug)
    given = feedback_list(project=project, rater=rater)
    services.scores_shown(items=[one.item.pk for one in given], actor=user)
    context = {"project": project, "outcome": told, "feedback_list": given, "rubric": project.rubric_version.shown}
    return render(request, "annotations/qualification.html", context)


def feedback_told(*, score: Score, user: User) -> dict[str, Any] | None:
    """What `_feedback.html` shows after a score, and a note that it was shown; None where its item is for no qualification."""
    told = feedback(score=score)
    if told is None:
        return None
    services.scores_shown(items=[score.item_id], actor=user)
    project = selectors.project_list().get(pk=told.item.project_id)
    how = outcome(project=project, rater=person_rater(user=user))
    return {"feedback": told, "outcome": how, "project": project, "rubric": project.rubric_version.shown}
