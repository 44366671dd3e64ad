"""People, tokens and the audit log over HTTP."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema, Status
from ninja.errors import HttpError
from ninja.pagination import paginate

from accounts import selectors, services
from accounts.api_auth import ApiAuth
from accounts.endpoint_check import endpoint_check
from accounts.endpoints import EndpointRefused, endpoint_forget, endpoint_save
from accounts.hosts import HostRefused, host_allow, host_forget
from accounts.models import AllowedHost, ApiToken, AuditEntry, Endpoint, User

router = Router(tags=["accounts"])
RoleName = Literal["annotator", "member", "admin"]


class PersonOut(Schema):
    id: int
    username: str
    email: str
    role: RoleName
    is_active: bool
    last_login: datetime | None


class MeOut(PersonOut):
    language: str = Field(description="Of the pages; empty: as the browser asks.")


class MeChange(Schema):
    language: str


class PersonIn(Schema):
    username: str
    password: str
    role: RoleName = "annotator"
    email: str = ""


class PersonChange(Schema):
    role: RoleName | None = None
    is_active: bool | None = None


class TokenOut(Schema):
    id: int
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class TokenIn(Schema):
    name: str = Field(max_length=80)
    expires_at: datetime | None = None


class NewTokenOut(TokenOut):
    secret: str = Field(description="The token itself; it cannot be read again.")


class HostIn(Schema):
    host: str = Field(max_length=253, description="A name or an address, without http://")
    port: int | None = Field(None, description="None: every port.")
    is_private: bool = Field(False, description="It may lie in a private network.")
    note: str = Field("", max_length=200)


class HostOut(HostIn):
    id: int
    created_at: datetime


class AuditOut(Schema):
    id: int
    at: datetime
    actor: str = Field(alias="actor_name", description="Empty: the shell or the site itself.")
    action: str
    target_type: str
    target_id: str
    target_label: str
    detail: dict[str, Any]


class AuditFilter(Schema):
    person: str | None = Field(None, description="Username of who did it.")
    action: str = Field("", description='A whole action or its start, such as "accounts."')


def caller(request: HttpRequest) -> User:
    """The person behind the call, whichever way they proved it."""
    user = request.auth  # type: ignore[attr-defined]
    assert isinstance(user, User)
    return user


@router.get("/me", response=MeOut, auth=ApiAuth("annotator"))
def me(request: HttpRequest) -> User:
    return caller(request)


@router.patch("/me", response=MeOut, auth=ApiAuth("annotator"))
def me_change(request: HttpRequest, payload: MeChange) -> User:
    user: User = request.auth  # type: ignore[attr-defined]
    try:
        return services.user_set_language(user=user, language=payload.language, actor=user)
    except ValueError as error:
        raise HttpError(422, str(error)) from error


@router.get("/people", response=list[PersonOut], auth=ApiAuth("admin"))
@paginate
def person_list(request: HttpRequest) -> QuerySet[User]:
    return selectors.person_list()


@router.post("/people", response={201: PersonOut}, auth=ApiAuth("admin"))
def person_create(request: HttpRequest, payload: PersonIn) -> Status[User]:
    try:
        return Status(201, services.user_create(**payload.dict(), actor=caller(request)))
    except ValidationError as error:
        raise HttpError(422, "; ".join(error.messages)) from error


@router.patch("/people/{username}", response=PersonOut, auth=ApiAuth("admin"))
def person_change(request: HttpRequest, username: str, payload: PersonChange) -> User:
    person = get_object_or_404(User, username=username)
    try:
        return services.user_change(user=person, role=payload.role, active=payload.is_active, actor=caller(request))
    except ValueError as error:
        raise HttpError(409, str(error)) from error


@router.get("/tokens", response=list[TokenOut], auth=ApiAuth("annotator"))
@paginate
def token_list(request: HttpRequest) -> QuerySet[ApiToken]:
    """One's own tokens."""
    return selectors.token_list(user=caller(request))


@router.post("/tokens", response={201: NewTokenOut}, auth=ApiAuth("annotator"))
def token_create(request: HttpRequest, payload: TokenIn) -> Status[dict[str, Any]]:
    user = caller(request)
    token, secret = services.token_create(user=user, name=payload.name, actor=user, expires_at=payload.expires_at)
    return Status(201, {**TokenOut.from_orm(token).dict(), "secret": secret})


@router.delete("/tokens/{token_id}", response={204: None}, auth=ApiAuth("annotator"))
def token_revoke(request: HttpRequest, token_id: int) -> Status[None]:
    token = get_object_or_404(selectors.token_list(user=caller(request)), pk=token_id)
    services.token_revoke(token=token, actor=caller(request))
    return Status(204, None)


@router.get("/audit", response=list[AuditOut], auth=ApiAuth("admin"))
@paginate
def audit_list(request: HttpRequest, wanted: Query[AuditFilter]) -> QuerySet[AuditEntry]:
    person = get_object_or_404(User, username=wanted.person) if wanted.person else None
    return selectors.audit_list(person=person, action=wanted.action)


@router.get("/hosts", response=list[HostOut], auth=ApiAuth("admin"))
@paginate
def host_list(request: HttpRequest) -> QuerySet[AllowedHost]:
    """The other servers that this site may call."""
    return selectors.host_list()


@router.post("/hosts", response={201: HostOut}, auth=ApiAuth("admin"))
def host_create(request: HttpRequest, payload: HostIn) -> Status[AllowedHost]:
    """Let the site call a host; a second time changes the entry."""
    try:
        return Status(201, host_allow(**payload.dict(), actor=caller(request)))
    except HostRefused as refused:
        raise HttpError(422, str(refused)) from refused


@router.delete("/hosts/{host_id}", response={204: None}, auth=ApiAuth("admin"))
def host_delete(request: HttpRequest, host_id: int) -> Status[None]:
    host_forget(entry=get_object_or_404(AllowedHost, pk=host_id), actor=caller(request))
    return Status(204, None)


class EndpointIn(Schema):
    name: str
    base_url: str = Field(description="Up to and with the version; its host must be among the allowed ones.")
    model: str = Field(description="As the service calls it.")
    key: str | None = Field(None, description="Kept encrypted, never told. None: as before; empty: it needs none.")
    requests_per_minute: int | None = Field(None, description="None: no limit. This and what follows: left out, as before.")
    timeout_s: float = 60.0
    price_in: Decimal | None = Field(None, description="Per million tokens of prompts.")
    price_out: Decimal | None = Field(None, description="Per million tokens of answers.")
    chat_budget: Decimal | None = Field(
        None, description="What chatting may cost in a day, whoever chats. None: where it has a price, admins alone chat."
    )
    note: str = ""


class EndpointOut(Schema):
    name: str
    base_url: str
    model: str
    has_key: bool
    requests_per_minute: int | None
    timeout_s: float
    price_in: Decimal | None
    price_out: Decimal | None
    chat_budget: Decimal | None
    note: str
    created_at: datetime
    changed_at: datetime


@router.get("/endpoints", response=list[EndpointOut], auth=ApiAuth("admin"))
@paginate
def endpoint_list(request: HttpRequest) -> QuerySet[Endpoint]:
    """The services whose models the site may ask."""
    return selectors.endpoint_list()


@router.post("/endpoints", response={201: EndpointOut}, auth=ApiAuth("admin"))
def endpoint_create(request: HttpRequest, payload: EndpointIn) -> Status[Endpoint]:
    """Make a service known; a second time changes it."""
    try:
        return Status(201, endpoint_save(**payload.dict(exclude_unset=True), actor=caller(request)))
    except EndpointRefused as refused:
        raise HttpError(422, str(refused)) from refused


class CheckedOut(Schema):
    answer: str
    tells_probabilities: bool


@router.post("/endpoints/{name}/check", response=CheckedOut, auth=ApiAuth("admin"))
def endpoint_asked(request: HttpRequest, name: str) -> CheckedOut:
    """Ask it one question now; 422 with the reason where it does not answer."""
    try:
        answered = endpoint_check(get_object_or_404(Endpoint, name=name))
    except EndpointRefused as refused:
        raise HttpError(422, str(refused)) from refused
    return CheckedOut(answer=answered.text, tells_probabilities=answered.tells_probabilities)


@router.delete("/endpoints/{name}", response={204: None}, auth=ApiAuth("admin"))
def endpoint_delete(request: HttpRequest, name: str) -> Status[None]:
    """Forget a service and its key; 409 while scorecards tell of it."""
    try:
        endpoint_forget(endpoint=get_object_or_404(Endpoint, name=name), actor=caller(request))
    except EndpointRefused as refused:
        raise HttpError(409, str(refused)) from refused
    return Status(204, None)
