"""rlwhf scores: what one person has given, how they get on, and giving a score."""

from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from annotations import selectors, services
from annotations.management.commands.import_items import project_known
from annotations.models import Item, Ranking
from annotations.rubric import HIGHEST, LOWEST
from annotations.services import ScoringRefused

CANNOT_VERIFY = "cannot-verify"


class Command(BaseCommand):
    help = "A person's scores: rlwhf scores list NAME [--project P]; scores progress NAME; scores give NAME ITEM SCORE"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listed = actions.add_parser("list", help="what stands of their scores and rankings, newest first")
        progress = actions.add_parser("progress", help="today, this week, in all; together, then by project")
        give = actions.add_parser("give", help="score an item as this person; replaces what they gave it before")
        for one in (listed, progress, give):
            one.add_argument("name", help="whose scores")
        listed.add_argument("--project", help="name or address part of the project")
        listed.add_argument("--limit", type=int, default=50)
        give.add_argument("item", type=int, help="its number")
        give.add_argument("score", help=f"{LOWEST} to {HIGHEST}, or {CANNOT_VERIFY}")
        give.add_argument("--critique", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is nobody named “{options['name']}”.")
        {"list": self._list, "progress": self._progress, "give": self._give}[options["action"]](user, options)

    def _list(self, user: User, options: dict[str, Any]) -> None:
        project = project_known(options["project"]) if options["project"] else None
        rows = list(selectors.mine_list(user=user, project=project)[: options["limit"]])
        for given in selectors.mine_shown(rows=rows, user=user):
            one = given.one
            if isinstance(one, Ranking):
                value = (
                    "all bad"
                    if one.all_bad
                    else " ".join(f"{item}:{rank}" for item, rank in zip(one.shown, one.ranks, strict=False))
                )
            else:
                value = "–" if one.overall is None else f"{one.overall:+g}"
            earlier = f"  ({len(given.earlier)} earlier)" if given.earlier else ""
            what = f"{given.item.project.name}  item {given.item.pk}  {value}{earlier}"
            self.stdout.write(f"{one.given_at:%Y-%m-%d %H:%M}  {what}  {one.critique[:60]}")

    def _progress(self, user: User, options: dict[str, Any]) -> None:
        self.stdout.write(f"{'':<30} {'today':>7} {'week':>7} {'in all':>7} {'seconds':>8}")
        for one in selectors.own_progress(user=user):
            name = one.project.name if one.project else "together"
            seconds = "–" if one.median_seconds is None else f"{one.median_seconds:.0f}"
            self.stdout.write(f"{name:<30} {one.today:>7} {one.week:>7} {one.total:>7} {seconds:>8}")

    def _give(self, user: User, options: dict[str, Any]) -> None:
        unsure = options["score"] == CANNOT_VERIFY
        scores = {str(score): score for score in range(LOWEST, HIGHEST + 1)}
        if not unsure and options["score"].removeprefix("+") not in scores:
            raise CommandError(f"A score is a whole number from {LOWEST} to {HIGHEST}, or {CANNOT_VERIFY}.")
        item = Item.objects.filter(pk=options["item"]).first()
        if item is None:
            raise CommandError(f"There is no item {options['item']}.")
        try:
            services.score_submit(
                item=item,
                actor=user,
                submission=uuid4(),
                overall=None if unsure else scores[options["score"].removeprefix("+")],
                cannot_verify=unsure,
                critique=options["critique"],
            )
        except ScoringRefused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(f"{user.username} scored item {item.pk}.")
