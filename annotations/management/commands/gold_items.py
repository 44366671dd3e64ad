"""rlwhf gold-items: check items with a reference score. (rlwhf gold-score is another thing: scores by gold answers.)"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations.management.commands.import_items import project_known
from annotations.models import Item
from annotations.selectors.gold_items import gold_candidates, gold_figures, gold_item_list, suggested_references
from annotations.services.gold_items import GoldRefused, gold_clear, gold_set


class Command(BaseCommand):
    help = "Gold items, whose right score is known: rlwhf gold-items list PROJECT; rlwhf gold-items set ITEM --score 1 --note WHY"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for action, about in (
            ("list", "the gold items of a project, and how people did on them"),
            ("candidates", "items that were decided, or on which people agree"),
        ):
            one = actions.add_parser(action, help=about)
            one.add_argument("project", help="name or address part of the project")
        made = actions.add_parser("set", help="make an item gold, or change its reference")
        made.add_argument("item", type=int)
        made.add_argument("--score", type=float, required=True, help="the right score, from -2 to 2")
        made.add_argument("--note", default="", help="why; newcomers read it")
        made.add_argument("--qualification", action="store_true", help="newcomers score it first, with feedback")
        add_user_argument(made)
        clear = actions.add_parser("clear", help="make gold items ordinary ones again")
        clear.add_argument("items", type=int, nargs="+", metavar="ITEM")
        add_user_argument(clear)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        for one in gold_figures(items=list(gold_item_list(project=project_known(options["project"])))):
            share = "–" if one.share is None else f"{one.share:.0%}"
            purpose = "qualification" if one.item.is_qualification else "checking"
            self.stdout.write(
                f"item {one.item.pk:>8}  {one.item.gold_score:+g}  {purpose:14}"
                f"{one.people:>5} people  {share:>5} right  {'wrong itself?' if one.is_doubtful else ''}".rstrip()
            )

    def _candidates(self, options: dict[str, Any]) -> None:
        items = gold_candidates(project=project_known(options["project"]))
        told = suggested_references(items=items)
        for item in items:
            score = told[item.pk].overall if item.pk in told else None
            why = "decided" if item.adjudicated_at else f"{item.people_scores} agree"
            self.stdout.write(f"item {item.pk:>8}  {'–' if score is None else f'{score:+g}'}  {why}")

    def _set(self, options: dict[str, Any]) -> None:
        item = items_known([options["item"]])[0]
        try:
            gold_set(
                item=item,
                score=options["score"],
                note=options["note"],
                qualification=options["qualification"],
                actor=acting_user(options),
            )
        except GoldRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"Item {item.pk} is a gold item.")

    def _clear(self, options: dict[str, Any]) -> None:
        for item in items_known(options["items"]):
            gold_clear(item=item, actor=acting_user(options))
        self.stdout.write(f"{len(options['items'])} are ordinary items again.")


def items_known(numbers: list[int]) -> list[Item]:
    found = Item.objects.in_bulk(numbers)
    if missing := set(numbers) - set(found):
        raise CommandError(f"There is no item {', '.join(map(str, sorted(missing)))}; nothing was changed.")
    return [found[number] for number in numbers]
