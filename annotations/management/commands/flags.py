"""rlwhf flags: what people say is wrong with items, and saying that it is in order."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations import selectors
from annotations.management.commands.import_items import project_known
from annotations.models import Flag
from annotations.services import flag_resolve


class Command(BaseCommand):
    help = "Flagged items: rlwhf flags list [--project NAME]; rlwhf flags resolve ID…"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listed = actions.add_parser("list", help="the open flags, newest first")
        listed.add_argument("--project", help="name or address part of the project")
        resolve = actions.add_parser("resolve", help="the item is in order, and may be used again")
        resolve.add_argument("flags", nargs="+", type=int, metavar="ID")
        add_user_argument(resolve)

    def handle(self, *args: Any, **options: Any) -> None:
        (self._list if options["action"] == "list" else self._resolve)(options)

    def _list(self, options: dict[str, Any]) -> None:
        flags = selectors.open_flags(project=project_known(options["project"]) if options["project"] else None)
        for flag in flags.iterator():
            reason = flag.get_reason_display() + (f": {flag.note}" if flag.note else "")
            self.stdout.write(f"{flag.pk:>8}  item {flag.item_id}  {flag.created_at:%Y-%m-%d}  {flag.rater.name}  {reason}")

    def _resolve(self, options: dict[str, Any]) -> None:
        found = Flag.objects.in_bulk(options["flags"])
        if missing := set(options["flags"]) - set(found):
            raise CommandError(f"There is no flag {', '.join(map(str, sorted(missing)))}; nothing was changed.")
        actor = acting_user(options)
        for flag in found.values():
            flag_resolve(flag=flag, actor=actor)
        self.stdout.write(f"{len(found)} resolved.")
