"""What is one's own at the scoring desk, over HTTP."""

from django.http import HttpRequest
from ninja import Field, Router, Schema
from ninja.errors import HttpError

from accounts.api_auth import ApiAuth
from annotations import services
from annotations.api.common import Text, acting_user
from annotations.desk_keys import ACTIONS
from annotations.services import KeysRefused

router = Router(tags=["annotations"])


class KeyOut(Schema):
    name: str
    label: str = Field(description="What the key does.")
    key: str = Field(description="As browsers name it (KeyboardEvent.key), letters small.")
    default: str
    scope: str = Field(description="When it does so: always (desk), in projects of a mode, or while marking.")


class KeysIn(Schema):
    keys: dict[Text, Text | None] = Field(default_factory=dict, description="By the action's name; null: its usual key.")
    reset: bool = Field(default=False, description="First make every key the usual one.")


def _listed(keys: dict[str, str]) -> list[KeyOut]:
    return [KeyOut(name=one.name, label=one.title, key=keys[one.name], default=one.key, scope=one.scope) for one in ACTIONS]


@router.get("/me/keys", response=list[KeyOut], auth=ApiAuth("annotator"))
def keys_list(request: HttpRequest) -> list[KeyOut]:
    """Your keys of the scoring desk."""
    return _listed(services.keys_of(user=acting_user(request)))


@router.patch("/me/keys", response=list[KeyOut], auth=ApiAuth("annotator"))
def keys_change(request: HttpRequest, given: KeysIn) -> list[KeyOut]:
    """Give actions other keys. All or nothing: refused where two would share one."""
    user = acting_user(request)
    try:
        return _listed(services.keys_change(user=user, keys=given.keys, reset=given.reset, actor=user))
    except KeysRefused as refused:
        raise HttpError(422, str(refused)) from refused
