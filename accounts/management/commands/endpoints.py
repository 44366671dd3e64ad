"""Services whose models the site may ask: `rlwhf endpoints list | save | check | forget-key | forget`."""

import getpass
import os
import sys
from argparse import SUPPRESS
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import selectors
from accounts.endpoint_check import endpoint_check
from accounts.endpoints import (
    EndpointRefused,
    Limits,
    endpoint_forget,
    endpoint_forget_key,
    endpoint_save,
)
from accounts.models import Endpoint
from accounts.secrets import SecretLost
from accounts.shell import acting_user, add_user_argument


class Command(BaseCommand):
    help = "Services that speak OpenAI's chat protocol: rlwhf endpoints save NAME --url https://… --model MODEL"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="those that are known")
        save = actions.add_parser("save", help="make one known, or change it")
        check = actions.add_parser("check", help="ask it one question")
        forget_key = actions.add_parser("forget-key", help="forget its key")
        forget = actions.add_parser("forget", help="forget it altogether")
        for one in (save, check, forget_key, forget):
            one.add_argument("name")
        for one in (save, forget_key, forget):
            add_user_argument(one)
        save.add_argument("--url", required=True, help="up to and with the version, such as https://models.example.org/v1")
        save.add_argument("--model", required=True, help="as the service calls it")
        keys = save.add_mutually_exclusive_group()
        keys.add_argument("--key-from", metavar="VARIABLE", help="the environment variable that holds the key")
        keys.add_argument("--ask-key", action="store_true", help="type the key, or pipe it in")
        keys.add_argument("--no-key", action="store_true", help="it asks for none")
        limits = save.add_argument_group(
            "what it may be asked", "What is not given stays as it is; “none” takes a limit or a price away."
        )
        limits.add_argument("--requests-per-minute", type=_or_none(int), default=SUPPRESS, help="a new one: no limit")
        limits.add_argument(
            "--timeout", type=float, dest="timeout_s", default=SUPPRESS, metavar="SECONDS", help="for one answer (a new one: 60)"
        )
        limits.add_argument("--price-in", type=_or_none(Decimal), default=SUPPRESS, help="per million tokens of prompts")
        limits.add_argument("--price-out", type=_or_none(Decimal), default=SUPPRESS, help="per million tokens of answers")
        limits.add_argument(
            "--chat-budget",
            type=_or_none(Decimal),
            default=SUPPRESS,
            help="what chatting with it may cost in a day, whoever chats (a new one: admins alone chat where it has a price)",
        )
        limits.add_argument("--note", default=SUPPRESS, help="what it is for")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list()
        elif options["action"] == "save":
            self._save(options)
        elif options["action"] == "check":
            self._check(_endpoint(options["name"]))
        else:
            self._forget(_endpoint(options["name"]), options)

    def _list(self) -> None:
        endpoints = selectors.endpoint_list()
        for one in endpoints:
            key = "with a key" if one.has_key else "without a key"
            self.stdout.write(f"{one.name:<24} {one.model:<32} {one.base_url}  {key}  {one.note}".rstrip())
        if not endpoints:
            self.stdout.write("No endpoints yet: `rlwhf endpoints save NAME --url https://… --model MODEL --ask-key`.")

    def _save(self, options: dict[str, Any]) -> None:
        try:
            endpoint = endpoint_save(
                name=options["name"],
                base_url=options["url"],
                model=options["model"],
                key=_key(options),
                actor=acting_user(options),
                **_limits(options),
            )
        except (EndpointRefused, SecretLost) as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(
            f"{endpoint}: {endpoint.model} at {endpoint.base_url}, {'with' if endpoint.has_key else 'without'} a key"
        )

    def _check(self, endpoint: Endpoint) -> None:
        try:
            self.stdout.write(endpoint_check(endpoint).told(endpoint.name))
        except EndpointRefused as refused:
            raise CommandError(str(refused)) from refused

    def _forget(self, endpoint: Endpoint, options: dict[str, Any]) -> None:
        if options["action"] == "forget-key":
            endpoint_forget_key(endpoint=endpoint, actor=acting_user(options))
            self.stdout.write(f"The key of {endpoint} is forgotten.")
            return
        try:
            endpoint_forget(endpoint=endpoint, actor=acting_user(options))
        except EndpointRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"{endpoint.name} is forgotten.")


def _or_none(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return None if text == "none" else kind(text)
        except ArithmeticError as error:  # a Decimal's own
            raise ValueError(text) from error

    return read


def _limits(options: dict[str, Any]) -> Limits:
    given: Any = {name: options[name] for name in Limits.__annotations__ if name in options}
    return cast(Limits, given)


def _key(options: dict[str, Any]) -> str | None:
    """The key that is meant; None: as it is. Never an argument: the shell would remember it."""
    if options["no_key"]:
        return ""
    if options["key_from"]:
        if options["key_from"] not in os.environ:
            raise CommandError(f"There is no environment variable {options['key_from']}.")
        return os.environ[options["key_from"]]
    if options["ask_key"]:
        return getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    return None


def _endpoint(name: str) -> Endpoint:
    found = selectors.endpoint_list().filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no endpoint “{name}”; `rlwhf endpoints list` names them.")
    return found
