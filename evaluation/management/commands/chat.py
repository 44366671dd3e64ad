"""rlwhf chat: talk with one model or two."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError

from accounts.models import User
from accounts.shell import acting_user, add_user_argument
from evaluation.chatting.asking import Talker, talker_of
from evaluation.chatting.conversation import ChatRefused, Wording
from evaluation.chatting.here import served_here
from evaluation.chatting.selectors import endpoint_named
from evaluation.chatting.terminal import Terminal
from jobs.hardware import COMPUTE_TAGS
from training.placing import ModelNotHere, NamedModel, model_named

MOST = 2


class Command(BaseCommand):
    help = "Talk with a model, or with two: rlwhf chat MODEL [MODEL2] [--system TEXT]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("models", nargs="+", metavar="MODEL", help="a model or an endpoint of the site, or a folder")
        parser.add_argument("--system", default="", metavar="TEXT", help="what the model is told first")
        parser.add_argument("--temperature", type=float, default=0.0, help="0, the default: the likeliest answer")
        parser.add_argument("--max-tokens", type=int, help="of an answer (default: as the model's service does)")
        parser.add_argument("--tag", default="cpu", choices=COMPUTE_TAGS, help="hardware for models of this machine")
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        names = list(dict.fromkeys(options["models"]))
        if len(names) > MOST:
            raise CommandError("One model, or two beside each other.")
        try:
            wording = Wording(**{name: options[name] for name in ("system", "temperature", "max_tokens")})
        except ValidationError as error:
            first = error.errors()[0]
            raise CommandError(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from error
        actor = acting_user(options)
        with ExitStack() as stack:
            try:
                talkers = self._talkers(names, options["tag"], stack, actor)
            except (ChatRefused, ModelNotHere) as refused:
                raise CommandError(str(refused)) from refused
            Terminal(talkers, wording=wording, actor=actor, read=_line, write=self._write).run()

    def _talkers(self, names: list[str], tag: str, stack: ExitStack, actor: User | None) -> list[Talker]:
        """Who answers: endpoints where they are, models of this machine in a child that ends with this process."""
        folder = Path(settings.RLWHF_HOME) / "cache" / "serving"
        named: dict[str, NamedModel | None] = {
            name: None if endpoint_named(name) is not None else model_named(name, folder) for name in names
        }
        own = {one.name: one for one in named.values() if one is not None}
        if len(own) < sum(one is not None for one in named.values()):
            raise ChatRefused("Both folders have the same name: rename one, or register them as models of the site.")
        tell = lambda note: self.stderr.write(f"{note} …")  # noqa: E731 (said to whoever waits, not part of the chat)
        served = stack.enter_context(served_here(list(own.values()), tag=tag, tell=tell)) if own else []
        found = {one.name: one for one in served}
        return [talker_of(name, actor=actor) if one is None else found[one.name] for name, one in named.items()]

    def _write(self, text: str) -> None:
        self.stdout.write(text, ending="")
        self.stdout.flush()


def _line(prompt: str) -> str:
    """A line that somebody types; of a pipe without a prompt."""
    return input(prompt if sys.stdin.isatty() else "")
