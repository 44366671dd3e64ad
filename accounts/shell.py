"""What commands share: whom they act for, and settings written as FIELD=VALUE."""

import tomllib
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from pydantic.fields import FieldInfo

from accounts.models import User
from accounts.setting_kinds import kind_of


def add_user_argument(parser: CommandParser) -> None:
    parser.add_argument("--user", metavar="NAME", help="act as this person; the audit log then names them (default: the shell)")


def acting_user(options: dict[str, Any]) -> User | None:
    """The person that `--user` names, or None for the shell itself. Raises CommandError for a name nobody has."""
    name = options.get("user")
    if not name:
        return None
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        known = ", ".join(User.objects.filter(is_active=True).values_list("username", flat=True)[:20])
        raise CommandError(f"There is nobody named “{name}”. People: {known or 'none yet'}.")
    return user


def add_setting(group: Any, name: str, field: FieldInfo, *, dest: str, short: Sequence[str] = ()) -> None:
    """A flag for a setting that fits on a command line; others are set with --set. Nothing is set where it is not given."""
    flag, kind = "--" + name.replace("_", "-"), kind_of(field.annotation)
    default = field.get_default(call_default_factory=True)
    about = " ".join(filter(None, [field.title and f"{field.title}.", field.description, f"(default: {default})"]))
    common: dict[str, Any] = {"dest": dest, "default": SUPPRESS, "help": about.replace("%", "%%")}
    choices = list(kind.choices) or None
    if kind.type is bool:
        group.add_argument(flag, *short, action=BooleanOptionalAction, **common)
    elif kind.type is not None and kind.is_list:
        group.add_argument(flag, *short, nargs="+", choices=choices, **common)
    elif kind.type is not None:
        group.add_argument(flag, *short, type=kind.type, choices=choices, metavar=name.upper(), **common)


def fields_set(texts: Iterable[str], *, flag: str = "--set") -> dict[str, Any]:
    """FIELD=VALUE as nested settings: "gate.force=true" is {"gate": {"force": True}}. Values are TOML, or else plain text.

    Raises CommandError for what is no FIELD=VALUE.
    """
    values: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"{flag} {text}: write FIELD=VALUE.")
        into = values
        *outer, last = path.strip().split(".")
        for part in outer:
            into = into.setdefault(part, {})
            if not isinstance(into, dict):
                raise CommandError(f"{flag} {text}: {part} has a value already.")
        into[last] = _value(value)
    return values


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
