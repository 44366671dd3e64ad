"""What every command that changes something shares: whom it acts for."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.models import User


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
