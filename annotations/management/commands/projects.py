"""rlwhf projects: list, create and edit projects."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations import selectors
from annotations.management.commands.import_items import project_known
from annotations.rubric import rubric_names
from annotations.services import project_create, project_update


class Command(BaseCommand):
    help = "Projects: rlwhf projects list; rlwhf projects create NAME --raters 2; rlwhf projects edit NAME --guidelines FILE"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="all projects, and how far they are")
        for action, about in (("create", "a new project"), ("edit", "change a project; what is left out stays as it is")):
            one = actions.add_parser(action, help=about)
            one.add_argument("name", help="name of the project" + (" or its address part" if action == "edit" else ""))
            if action == "edit":
                one.add_argument("--name", dest="new_name", help="call it this from now on; the address stays")
            one.add_argument("--raters", type=int, metavar="N", help="people who score each item; 0: gold answers alone score")
            one.add_argument("--guidelines", type=Path, metavar="FILE", help="Markdown, shown beside every item")
            one.add_argument("--rubric", choices=rubric_names())
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list()
            return
        try:
            (self._create if options["action"] == "create" else self._edit)(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error

    def _list(self) -> None:
        for project in selectors.project_list():
            progress = selectors.project_progress(project=project)
            self.stdout.write(
                f"{project.slug:40} {project.item_count:>8} items  {progress.done:>8} done  {progress.scores:>8} scores  "
                f"{project.raters_per_item} raters each  {project.rubric_version}  {project.name}"
            )

    def _create(self, options: dict[str, Any]) -> None:
        given = {"guidelines": _text(options["guidelines"]), "raters_per_item": options["raters"], "rubric": options["rubric"]}
        wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        project = project_create(name=options["name"], actor=acting_user(options), **wanted)
        self.stdout.write(f"{project.name} is ready for items: rlwhf import-items --project {project.slug} FILE…")

    def _edit(self, options: dict[str, Any]) -> None:
        project = project_known(options["name"])
        guidelines, raters, name = _text(options["guidelines"]), options["raters"], options["new_name"]
        project_update(
            project=project,
            actor=acting_user(options),
            name=project.name if name is None else name,
            guidelines=project.guidelines if guidelines is None else guidelines,
            raters_per_item=project.raters_per_item if raters is None else raters,
            rubric=options["rubric"],
        )
        self.stdout.write("Saved.")


def _text(path: Path | None) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path else None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
