"""Who may do what: `rlwhf people list | add | role | language | off | on`."""

import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import selectors, services
from accounts.models import Role, User
from accounts.shell import acting_user, add_user_argument


class Command(BaseCommand):
    help = "List people, add one, change a role, switch an account off or on."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="everybody and their role")
        add = actions.add_parser("add", help="a new person; the password is read from standard input")
        add.add_argument("name")
        add.add_argument("role", choices=Role.values)
        add.add_argument("--email", default="")
        role = actions.add_parser("role", help="change what a person may do")
        role.add_argument("name")
        role.add_argument("role", choices=Role.values)
        language = actions.add_parser("language", help="change the language of a person's pages")
        language.add_argument("name")
        language.add_argument("language", help='such as en or pt; "" for what the browser asks for')
        for name, text in (("off", "switch an account off"), ("on", "switch it on again")):
            actions.add_parser(name, help=text).add_argument("name")
        for one in (add, role, language, *(actions.choices[name] for name in ("off", "on"))):
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        action = options["action"]
        try:
            if action == "list":
                self._list()
            elif action == "add":
                self._add(options)
            else:
                self._change(action, options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except ValueError as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        for person in selectors.person_list():
            seen = person.last_login.isoformat(timespec="minutes") if person.last_login else "never"
            self.stdout.write(f"{person.username:<24} {person.role:<10} {'on ' if person.is_active else 'off'}  last seen {seen}")

    def _add(self, options: dict[str, Any]) -> None:
        password = sys.stdin.readline().rstrip("\n")
        person = services.user_create(
            username=options["name"], password=password, role=options["role"], email=options["email"], actor=acting_user(options)
        )
        self.stdout.write(f"{person.username} can log in as {person.role}.")

    def _change(self, action: str, options: dict[str, Any]) -> None:
        person = User.objects.filter(username=options["name"]).first()
        if person is None:
            raise CommandError(f"There is nobody named “{options['name']}”.")
        if action == "language":
            services.user_set_language(user=person, language=options["language"], actor=acting_user(options))
            self.stdout.write(f"{person.username}: {person.language or 'as the browser asks'}.")
            return
        role, active = (options["role"], None) if action == "role" else (None, action == "on")
        services.user_change(user=person, role=role, active=active, actor=acting_user(options))
        self.stdout.write(f"{person.username}: {person.role}, {'on' if person.is_active else 'off'}.")
