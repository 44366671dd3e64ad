"""The site's navigation: the loop in its order, and what stands behind it. A link shows only to people its page lets in."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop

from accounts.links import page_for
from accounts.models import User

LOOP = (
    (gettext_noop("Home"), "dashboards:home"),
    (gettext_noop("Items"), "annotations:item-list"),
    (gettext_noop("Score"), "annotations:score"),
    (gettext_noop("Data"), "annotations:dataset-list"),
    (gettext_noop("Train"), "training:run-list"),
    (gettext_noop("Evaluate"), "evaluation:scorecard-list"),
    (gettext_noop("Models"), "training:artifact-list"),
)
BEHIND = (
    (gettext_noop("Chat"), "chat:chat"),
    (gettext_noop("Dashboard"), "dashboards:overview"),
    (gettext_noop("Jobs"), "jobs:job-list"),
)


@dataclass(frozen=True)
class Link:
    label: str
    url: str
    current: bool


def _links(user: User, path: str, names: tuple[tuple[str, str], ...]) -> list[Link]:
    pages = [(label, page_for(user, name)) for label, name in names]
    return [Link(gettext(label), url, path == url if url == "/" else path.startswith(url)) for label, url in pages if url]


def navigation(request: HttpRequest) -> dict[str, list[Link]]:
    """Context processor: `loop_steps` and `side_links` for the person who asks."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"loop_steps": [], "side_links": []}
    return {"loop_steps": _links(user, request.path, LOOP), "side_links": _links(user, request.path, BEHIND)}
