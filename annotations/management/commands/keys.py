"""rlwhf keys: the keys of the scoring desk, for one person."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.shell import acting_user, add_user_argument
from annotations.desk_keys import ACTIONS
from annotations.services import KeysRefused, keys_change, keys_of


class Command(BaseCommand):
    help = "A person's keys: rlwhf keys list NAME; rlwhf keys set NAME skip=x flag=g …; rlwhf keys reset NAME"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, words in (
            ("list", "every action and its key"),
            ("set", "give actions other keys"),
            ("reset", "as everybody's"),
        ):
            one = actions.add_parser(name, help=words)
            one.add_argument("name", help="whose keys")
            if name == "set":
                one.add_argument("keys", nargs="+", metavar="ACTION=KEY", help="a key as browsers name it: x, Enter, F2")
            if name != "list":
                add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is nobody named “{options['name']}”.")
        if options["action"] == "list":
            keys = keys_of(user=user)
        else:
            pairs = [pair.partition("=") for pair in options.get("keys", [])]
            if wrong := [name for name, sign, _key in pairs if not sign]:
                raise CommandError(f"“{wrong[0]}” does not say which key: write {wrong[0]}=KEY.")
            given: dict[str, str | None] = {name: key for name, _sign, key in pairs}
            try:
                keys = keys_change(user=user, keys=given, reset=options["action"] == "reset", actor=acting_user(options))
            except KeysRefused as refused:
                raise CommandError(str(refused)) from refused
        for one in ACTIONS:
            changed = "" if keys[one.name] == one.key else f"   (usually {one.key})"
            self.stdout.write(f"{one.name:<18} {keys[one.name]:<10} {one.title}{changed}")
