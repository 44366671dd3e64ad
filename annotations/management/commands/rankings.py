"""rlwhf rankings: what people said of several answers to a prompt."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandParser

from annotations import selectors
from annotations.management.commands.import_items import project_known
from annotations.models import Project
from annotations.services import comparisons_open


class Command(BaseCommand):
    help = (
        "Rankings of a project that compares answers: rlwhf rankings list --project NAME; rlwhf rankings export --project NAME "
        "[--out FILE]; rlwhf rankings agreement --project NAME; rlwhf rankings open --project NAME"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, words in (
            ("list", "the rankings that stand, oldest first"),
            ("export", "as JSON lines, each with its prompt and answers"),
            ("agreement", "how far people agree on the order of two answers"),
            ("open", "see anew which comparisons need rankings, after items were changed by other means"),
        ):
            one = actions.add_parser(name, help=words)
            one.add_argument("--project", required=True, help="name or address part of the project")
            if name == "export":
                one.add_argument("--out", type=Path, help="the file to write (default: to the screen)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_known(options["project"])
        run = {"list": self._list, "export": self._export, "agreement": self._agreement, "open": self._open}
        run[options["action"]](project, options)

    def _list(self, project: Project, _options: dict[str, Any]) -> None:
        for one in selectors.ranking_list(project=project).iterator(500):
            order = " ".join(f"{item}:{rank}" for item, rank in zip(one.shown, one.ranks, strict=True))
            bad = "  all bad" if one.all_bad else ""
            self.stdout.write(f"{one.pk:>8}  item {one.item_id}  {one.given_at:%Y-%m-%d}  {one.rater.name}  {order}{bad}")

    def _export(self, project: Project, options: dict[str, Any]) -> None:
        lines = (orjson.dumps(document).decode() for document in selectors.ranking_documents(project=project))
        count = 0
        with ExitStack() as stack:
            out = stack.enter_context(options["out"].open("w", encoding="utf-8")) if options["out"] else self.stdout
            for line in lines:
                out.write(line + "\n")
                count += 1
        self.stderr.write(f"{count} rankings.")

    def _agreement(self, project: Project, _options: dict[str, Any]) -> None:
        found = selectors.project_ranking_agreement(project=project)
        self.stdout.write(f"{found.rankings} rankings by {found.raters} people.")
        if found.share is None:
            self.stdout.write("Nobody has compared the same two answers as somebody else yet.")
            return
        alpha = "cannot be told, since all votes are alike" if found.alpha is None else f"{found.alpha:.3f}"
        self.stdout.write(f"Of {found.votes} pairs of votes on {found.pairs} pairs of answers, {found.share:.1%} agree.")
        self.stdout.write(f"Krippendorff's alpha, nominal: {alpha}.")

    def _open(self, project: Project, _options: dict[str, Any]) -> None:
        if project.mode != Project.Mode.COMPARE:
            self.stdout.write(f"{project.name} does not compare answers; nothing was changed.")
            return
        self.stdout.write(f"{comparisons_open(project=project)} comparisons.")
