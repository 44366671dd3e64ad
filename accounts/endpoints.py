"""Services that speak OpenAI's chat protocol and that this site may ask: which, with what key, how fast, at what price.

The key is sealed in the database, shown to nobody, and handed to the child process that needs it by its environment. The host
must be among the allowed ones: that is looked at when the endpoint is saved (without asking a name server), and again, address
by address, before it is called.
"""

import re
from decimal import Decimal
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.module_loading import import_string

from accounts import audit
from accounts.chat.service import KEY_VARIABLE, ChatService
from accounts.hosts import allowing, host_allowed, place_allowed, private_refusal
from accounts.models import Endpoint, User
from accounts.secrets import seal, unseal

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


class EndpointRefused(ValueError):  # noqa: N818 - reads as what happened
    """An endpoint that cannot work. `field` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Limits(TypedDict, total=False):
    """How a service may be called, and what it costs. What is not given stays as it is; of a new one there is none."""

    requests_per_minute: int | None
    timeout_s: float
    price_in: Decimal | None
    price_out: Decimal | None
    chat_budget: Decimal | None
    note: str


@transaction.atomic
def endpoint_save(
    *,
    name: str,
    base_url: str,
    model: str,
    actor: User | None,
    key: str | None = None,
    is_new: bool = False,
    **limits: Unpack[Limits],
) -> Endpoint:
    """Make a service known, or change the one of that name; without `key` it keeps the key it has.

    Raises EndpointRefused, also where it is to be new and there is one of that name.
    """
    base_url = base_url.strip().rstrip("/")
    _check(name=name, base_url=base_url, model=model, limits=limits)
    values: dict[str, Any] = {"base_url": base_url, "model": model.strip(), **limits}
    if "note" in limits:
        values["note"] = limits["note"][:200]
    before = Endpoint.objects.select_for_update().filter(name=name).first()
    if is_new and before is not None:
        raise EndpointRefused("name", f"There is an endpoint “{name}” already: change it on its own page, or take another name.")
    if before is None and any(import_string(taken)(name) for taken in settings.MODEL_NAMES_TAKEN):
        raise EndpointRefused("name", f"There is a model “{name}” on this site: pages go by names, so take another one.")
    if key is not None:
        values["sealed_key"] = seal(key.strip()) if key.strip() else ""
    elif before is not None and before.sealed_key and _server(before.base_url) != _server(base_url):
        # A key is meant for one server; whoever may change the address must not be able to send it to theirs.
        raise EndpointRefused("key", "The address is another server's: give the key for it, or an empty one.")
    endpoint, made = Endpoint.objects.update_or_create(
        name=name, defaults=values, create_defaults={**values, "created_by": actor}
    )
    detail = {"base_url": base_url, "model": endpoint.model, "new": made, "key": "given" if key else "as before"}
    audit.record(actor=actor, action="accounts.endpoint_saved", target=endpoint, detail=detail)
    return endpoint


@transaction.atomic
def endpoint_forget(*, endpoint: Endpoint, actor: User | None) -> None:
    """Forget a service and its key. Raises EndpointRefused while scorecards tell of it: then its key alone can go."""
    audit.record(actor=actor, action="accounts.endpoint_forgotten", target=endpoint)
    try:
        with transaction.atomic():
            endpoint.delete()
    except ProtectedError as error:
        raise EndpointRefused(
            "name", f"{endpoint} is in use: scorecards tell of what it answered. Take away its key instead."
        ) from error


@transaction.atomic
def endpoint_forget_key(*, endpoint: Endpoint, actor: User | None) -> Endpoint:
    """Forget the key alone."""
    endpoint.sealed_key = ""
    endpoint.save(update_fields=["sealed_key", "changed_at"])
    audit.record(actor=actor, action="accounts.endpoint_key_forgotten", target=endpoint)
    return endpoint


def endpoint_service(endpoint: Endpoint) -> ChatService:
    """What a child process needs to call the service, but for the key. Raises HostRefused where the host is not allowed now."""
    place = place_allowed(endpoint.base_url)
    return ChatService(
        base_url=endpoint.base_url,
        model=endpoint.model,
        requests_per_minute=endpoint.requests_per_minute,
        timeout_s=endpoint.timeout_s,
        price_in=None if endpoint.price_in is None else float(endpoint.price_in),
        price_out=None if endpoint.price_out is None else float(endpoint.price_out),
        addresses=list(place.addresses),
    )


def endpoint_environment(endpoint: Endpoint) -> dict[str, str]:
    """The key, as a child process gets it. Raises SecretLost."""
    return {KEY_VARIABLE: unseal(endpoint.sealed_key)} if endpoint.sealed_key else {}


def _check(*, name: str, base_url: str, model: str, limits: Limits) -> None:
    if not NAME.fullmatch(name):
        raise EndpointRefused("name", "A name has small letters, digits, dashes and underscores, 80 at most.")
    if not model.strip():
        raise EndpointRefused("model", "Name the model, as the service calls it.")
    rate, timeout_s = limits.get("requests_per_minute"), limits.get("timeout_s", 60.0)
    if rate is not None and rate < 1:
        raise EndpointRefused("requests_per_minute", "At least one request a minute, or none for no limit.")
    if not 0 < timeout_s <= 3600:
        raise EndpointRefused("timeout_s", "A time-out lies between 0 and 3600 seconds.")
    if (budget := limits.get("chat_budget")) is not None and budget < 0:
        raise EndpointRefused("chat_budget", "A budget is 0 or more, or none.")
    if not host_allowed(base_url):
        host = _server(base_url)[1] or base_url
        raise EndpointRefused(
            "base_url", f"This site may not call {host}. Allow its host first: Account → Hosts, or `{allowing(base_url)}`."
        )
    if inside := private_refusal(base_url):
        raise EndpointRefused("base_url", inside)


def _server(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None
