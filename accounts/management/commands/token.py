"""API tokens from the shell: `rlwhf token create PERSON NAME`, `token list PERSON`, `token revoke ID`."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import selectors, services
from accounts.models import ApiToken, User
from accounts.shell import acting_user, add_user_argument


class Command(BaseCommand):
    help = "Make, list and revoke API tokens. A new token's secret is printed once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="a new token for a person")
        create.add_argument("person")
        create.add_argument("name", help="what will use it")
        create.add_argument("--days", type=int, default=90, help="how long it is valid (0: until revoked)")
        actions.add_parser("list", help="a person's tokens").add_argument("person")
        revoke = actions.add_parser("revoke", help="refuse a token from now on")
        revoke.add_argument("id", type=int)
        for one in (create, revoke):
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        {"create": self._create, "list": self._list, "revoke": self._revoke}[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        _, secret = services.token_create(
            user=self._person(options["person"]), name=options["name"], actor=acting_user(options), expires_at=expires_at
        )
        self.stdout.write(secret)

    def _list(self, options: dict[str, Any]) -> None:
        for token in selectors.token_list(user=self._person(options["person"])):
            state = (
                "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "until revoked"
            )
            self.stdout.write(f"{token.pk:>6}  {token.prefix}…  {state:<16}  {token.name}")

    def _revoke(self, options: dict[str, Any]) -> None:
        token = ApiToken.objects.filter(pk=options["id"]).first()
        if token is None:
            raise CommandError(f"There is no token {options['id']}.")
        services.token_revoke(token=token, actor=acting_user(options))
        self.stdout.write(f"{token.name} is revoked.")

    def _person(self, name: str) -> User:
        person = User.objects.filter(username=name, is_active=True).first()
        if person is None:
            raise CommandError(f"There is nobody named “{name}”.")
        return person
