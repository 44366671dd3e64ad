"""What each mode of a project puts on the scoring desk. Its script is `static/js/desk/<mode>.js` (see features.js there)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from accounts.models import User
from annotations.desk_keys import Scope
from annotations.forms.rankings import order_given
from annotations.forms.scores import LONGEST_REVISION, lines, spans_given
from annotations.models import Item, Project
from annotations.services.comparing import candidates
from annotations.services.raters import person_rater
from annotations.spans import spans_checked

# For drafts, which are kept without reading the answer. The score's marks are held against it.
LONGEST_ANSWER = 100_000_000


def whole(text: str | None) -> int | None:
    return int(text) if text in {"-2", "-1", "0", "1", "2"} else None


def _nothing_more(_item: Item, _project: Project, _user: User) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Mode:
    # The template between the frame of the form and its end; it includes the parts that it needs from annotations/desk/.
    middle: str
    # The name of the URL that takes the form, with the item's number.
    submit: str
    # What is kept of a form that is not submitted yet, besides critique and seconds; the template gets it as `drafted`.
    draft: Callable[[QueryDict, Project], dict[str, Any]]
    # What the template needs besides `item`, `project`, `rubric`, `drafted`, `keys`.
    context: Callable[[Item, Project, User], dict[str, Any]] = _nothing_more
    # Whose keys are in the sheet, besides those that every mode has.
    scopes: tuple[Scope, ...] = ("score",)


def _marks(text: str) -> list[dict[str, Any]]:
    try:
        return spans_checked(spans_given(text), length=LONGEST_ANSWER)
    except ValueError:
        return []


def score_draft(post: QueryDict, project: Project) -> dict[str, Any]:
    names = project.rubric_version.rubric.dimension_ids
    return {
        "overall": whole(post.get("overall")),
        "dimensions": {name: value for name in names if (value := whole(post.get(f"dimension_{name}"))) is not None},
        "cannot_verify": bool(post.get("cannot_verify")),
        "spans": _marks(post.get("spans", "")),
    }


def compare_draft(post: QueryDict, _project: Project) -> dict[str, Any]:
    """Answers without a rank so far have 0."""
    order = order_given(post)
    return {"shown": order.shown, "ranks": order.ranks, "all_bad": bool(post.get("all_bad"))}


def compare_context(item: Item, _project: Project, user: User) -> dict[str, Any]:
    return {"candidates": candidates(item=item, rater=person_rater(user=user))}


def review_draft(post: QueryDict, project: Project) -> dict[str, Any]:
    return score_draft(post, project) | {"revised_answer": lines(post.get("revised_answer", ""))[:LONGEST_REVISION]}


def review_context(item: Item, project: Project, _user: User) -> dict[str, Any]:
    return {"may_revise": item.iteration < project.review_rounds, "longest_revision": LONGEST_REVISION}


MODES: dict[str, Mode] = {
    Project.Mode.SCORE: Mode("annotations/desk/_score.html", "annotations:score-submit", score_draft),
    Project.Mode.COMPARE: Mode(
        "annotations/desk/_compare.html", "annotations:compare-submit", compare_draft, compare_context, ("compare",)
    ),
    Project.Mode.REVIEW: Mode(
        "annotations/desk/_review.html", "annotations:score-submit", review_draft, review_context, ("score", "review")
    ),
}
