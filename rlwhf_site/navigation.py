"""The site's navigation: the loop in its order, and what stands behind it. A link shows only to people its page lets in."""

from dataclasses import dataclass
from functools import cache

from django.http import HttpRequest
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from accounts.models import User

LOOP = (
    ("Home", "dashboards:home"),
    ("Items", "annotations:item-list"),
    ("Score", "annotations:score"),
    ("Data", "annotations:dataset-list"),
    ("Train", "training:run-list"),
    ("Evaluate", "evaluation:scorecard-list"),
    ("Models", "training:artifact-list"),
)
BEHIND = (("Jobs", "jobs:job-list"),)


@dataclass(frozen=True)
class Link:
    label: str
    url: str
    current: bool


@cache
def _address(name: str) -> tuple[str, str | None] | None:
    """A page's address and the role it asks for; None for a page this installation does not have."""
    try:
        url = reverse(name)
        return url, getattr(resolve(url).func, "required_role", None)
    except (NoReverseMatch, Resolver404):
        return None


def _links(user: User, path: str, names: tuple[tuple[str, str], ...]) -> list[Link]:
    links = []
    for label, name in names:
        address = _address(name)
        if address is None or (address[1] is not None and not user.has_role(address[1])):
            continue
        url = address[0]
        links.append(Link(label=label, url=url, current=path == url if url == "/" else path.startswith(url)))
    return links


def navigation(request: HttpRequest) -> dict[str, list[Link]]:
    """Context processor: `loop_steps` and `side_links` for the person who asks."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"loop_steps": [], "side_links": []}
    return {"loop_steps": _links(user, request.path, LOOP), "side_links": _links(user, request.path, BEHIND)}
