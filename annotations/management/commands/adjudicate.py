"""rlwhf adjudicate: disputed items, and decisions on them."""

from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.shell import acting_user, add_user_argument
from annotations.management.commands.gold_items import items_known
from annotations.management.commands.import_items import project_known
from annotations.models import Item
from annotations.selectors.adjudication import decision_list, decision_reasons, disputed_items, voices
from annotations.services import scores_shown
from annotations.services.adjudication import (
    AdjudicationRefused,
    Reason,
    adjudicate,
    adjudication_undo,
    decision_of,
    item_send_back,
)


class Command(BaseCommand):
    help = "Disputed items: rlwhf adjudicate list PROJECT; rlwhf adjudicate decide ITEM --score 1 --reason fact --user NAME"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for action, about in (
            ("list", "items that wait for a decision"),
            ("decisions", "what was decided, and why people differed"),
        ):
            one = actions.add_parser(action, help=about)
            one.add_argument("project", help="name or address part of the project")
        for action, about in (
            ("show", "all that was said about an item"),
            ("decide", "say what an item's score is; needs --user"),
            ("undo", "take a decision back"),
            ("send-back", "ask one more person"),
        ):
            one = actions.add_parser(action, help=about)
            one.add_argument("item", type=int)
            add_user_argument(one)
            if action == "show":
                one.add_argument("--names", action="store_true", help="say who gave what")
            if action == "undo":
                one.add_argument("--also-gold", action="store_true", help="also where the decision has made it a gold item")
            if action == "decide":
                one.add_argument("--score", type=int, choices=(-2, -1, 0, 1, 2), help="left out: nobody can verify it")
                one.add_argument("--reason", choices=Reason.values, required=True, help="why people differed")
                one.add_argument("--critique", default="", help="those who scored it read this")
                one.add_argument("--replace", action="store_true", help="also where it is decided already")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action'].replace('-', '_')}")(options)
        except AdjudicationRefused as refused:
            raise CommandError(str(refused)) from refused

    def _list(self, options: dict[str, Any]) -> None:
        items = disputed_items(project=project_known(options["project"]))
        for item in items.only("pk", "spread", "people_scores").iterator():
            self.stdout.write(f"item {item.pk:>8}  {item.spread:g} apart  {item.people_scores} people")

    def _show(self, options: dict[str, Any]) -> None:
        item, actor = items_known([options["item"]])[0], acting_user(options)
        if actor is not None:
            scores_shown(items=[item.pk], actor=actor)
        self.stdout.write(f"{item.prompt_text}\n\n{item.answer}\n")
        for voice in voices(item=item):
            overall = "cannot verify" if voice.score.overall is None else f"{voice.score.overall:+g}"
            name = voice.score.rater.name if options["names"] else voice.letter
            self.stdout.write(f"{name}: {overall}{' (revoked)' if voice.is_revoked else ''}  {voice.score.critique}")

    def _decide(self, options: dict[str, Any]) -> None:
        item = items_known([options["item"]])[0]
        standing = decision_of(item=item)
        adjudicate(
            item=item,
            actor=_somebody(options),
            submission=uuid4(),
            overall=options["score"],
            reason=options["reason"],
            critique=options["critique"],
            cannot_verify=options["score"] is None,
            instead_of=standing.pk if standing and options["replace"] else None,
        )
        self.stdout.write(f"Item {item.pk} is decided.")

    def _undo(self, options: dict[str, Any]) -> None:
        item: Item = items_known([options["item"]])[0]
        adjudication_undo(item=item, actor=acting_user(options), also_gold=options["also_gold"])
        self.stdout.write(f"The decision on item {item.pk} is taken back.")

    def _send_back(self, options: dict[str, Any]) -> None:
        item = items_known([options["item"]])[0]
        item_send_back(item=item, actor=acting_user(options))
        self.stdout.write(f"Item {item.pk} goes to one more person.")

    def _decisions(self, options: dict[str, Any]) -> None:
        project = project_known(options["project"])
        for score in decision_list(project=project).iterator():
            overall = "cannot verify" if score.overall is None else f"{score.overall:+g}"
            self.stdout.write(f"item {score.item_id:>8}  {overall:14} {score.metadata['reason']:10} {score.rater.name}")
        counted = decision_reasons(project=project)
        for reason in Reason:
            self.stdout.write(f"{counted.get(reason.value, 0):>6} × {reason.label}")


def _somebody(options: dict[str, Any]) -> User:
    actor = acting_user(options)
    if actor is None:
        raise CommandError("A decision is somebody's: say whose with --user NAME.")
    return actor
