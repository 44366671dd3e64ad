"""Make an admin from the shell: `rlwhf create-admin NAME`."""

import getpass
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Role
from accounts.services import user_create
from accounts.shell import acting_user, add_user_argument


class Command(BaseCommand):
    help = "Make an admin. Asks for the password, or reads it from standard input with --password-stdin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--email", default="")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else self._asked()
        try:
            user = user_create(
                username=options["name"], password=password, role=Role.ADMIN, actor=acting_user(options), email=options["email"]
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"{user.username} is an admin now.")

    def _asked(self) -> str:
        password = getpass.getpass("Password (at least 10 characters): ")
        if password != getpass.getpass("Again: "):
            raise CommandError("The two passwords differ; nothing was made.")
        return password
