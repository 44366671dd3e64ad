"""The keys of the scoring desk, as each person wants them. What they have not changed is as everybody's."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from annotations.desk_keys import ACTIONS, BY_NAME, DEFAULT_KEYS, clash, sign

NAMED_KEYS = frozenset(
    {"Enter", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown", "ArrowLeft", "ArrowRight", "ArrowUp",
     "ArrowDown"} | {f"F{number}" for number in range(1, 13)}
)  # fmt: skip


class KeysRefused(ValueError):  # noqa: N818 - reads as what happened
    """These keys cannot be; the message says why, `name` for which action."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


def keys_of(*, user: User) -> dict[str, str]:
    """Every action's key for this person, by the action's name."""
    return DEFAULT_KEYS | {name: key for name, key in user.keys.items() if name in DEFAULT_KEYS}


@transaction.atomic
def keys_change(*, user: User, keys: Mapping[str, str | None], actor: User | None, reset: bool = False) -> dict[str, str]:
    """Give actions other keys; None is an action's usual key, `reset` all of them first. Returns every action's key.

    Raises KeysRefused where two actions that can be wanted at the same moment would share one.
    """
    locked = User.objects.select_for_update().get(pk=user.pk)
    wanted = {} if reset else dict(locked.keys)
    for name, key in keys.items():
        if name not in BY_NAME:
            raise KeysRefused(_("There is no action “%(name)s”.") % {"name": name}, name)
        wanted[name] = DEFAULT_KEYS[name] if key is None else _named(key, name)
    wanted = {name: key for name, key in wanted.items() if key != DEFAULT_KEYS.get(name)}
    _refuse_clashes(DEFAULT_KEYS | wanted, changed=set(keys))
    if wanted != locked.keys:
        User.objects.filter(pk=user.pk).update(keys=wanted)
        audit.record(actor=actor, action="annotations.keys_changed", target=user, detail={"keys": wanted})
    user.keys = wanted
    return keys_of(user=user)


def _named(key: str, name: str) -> str:
    """The key as browsers name it, letters small."""
    if key in NAMED_KEYS:
        return key
    if len(key) == 1 and key.isprintable() and not key.isspace():
        return key.lower()
    raise KeysRefused(_("“%(key)s” is no key that can be used here.") % {"key": key[:20]}, name)


def _refuse_clashes(keys: Mapping[str, str], *, changed: set[str]) -> None:
    for one in ACTIONS:
        for other in ACTIONS:
            if keys[one.name] == keys.get(other.name) and clash(one, other) and (one.name in changed or not changed):
                said = {"key": sign(keys[one.name]), "other": other.title}
                raise KeysRefused(_("“%(key)s” is the key for “%(other)s” already.") % said, one.name)
