"""rlwhf projects: list, create and edit projects."""

from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.shell import acting_user, add_user_argument
from annotations import selectors
from annotations.forms.projects import HELP
from annotations.management.commands.import_items import project_known
from annotations.models import Project
from annotations.selectors.leads import project_warnings
from annotations.services import project_create, project_update
from annotations.services.projects import SETTINGS

WHOLE = ("review_rounds", "candidates_shown", "qualification_items", "extra_raters", "hold_minutes", "assignment_days")
SHARES = ("gold_share", "qualification_pass", "disagreement_threshold")


class Command(BaseCommand):
    help = "Projects: rlwhf projects list; rlwhf projects create NAME --raters 2; rlwhf projects edit NAME --gold-share 0.1"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="all projects, and how far they are")
        show = actions.add_parser("show", help="a project's settings, and what they ask for that cannot come true")
        show.add_argument("name", help="name of the project, or its address part")
        for action, about in (("create", "a new project"), ("edit", "change a project; what is left out stays as it is")):
            one = actions.add_parser(action, help=about)
            one.add_argument("name", help="name of the project" + (" or its address part" if action == "edit" else ""))
            if action == "edit":
                one.add_argument("--name", dest="new_name", help="call it this from now on; the address stays")
            one.add_argument("--raters", type=int, metavar="N", help="people who score each item; 0: gold answers alone score")
            one.add_argument("--guidelines", type=Path, metavar="FILE", help="Markdown, shown beside every item")
            one.add_argument("--rubric", metavar="KEY", help="such as honesty-1; rlwhf rubric list says which there are")
            _add_settings(one)
            add_user_argument(one)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except ValidationError as error:
            raise CommandError(_words(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        for project in selectors.project_list():
            progress = selectors.project_progress(project=project)
            self.stdout.write(
                f"{project.slug:40} {project.item_count:>8} items  {progress.done:>8} done  {progress.scores:>8} scores  "
                f"{project.raters_per_item} raters each  {project.rubric_version}  {project.name}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        project = project_known(options["name"])
        told = {"name": project.name, "raters_per_item": project.raters_per_item, "rubric": project.rubric_version}
        for name, value in [*told.items(), *((name, getattr(project, name)) for name in SETTINGS)]:
            self.stdout.write(f"{name:24} {'no cap' if name == 'cap_per_person' and value is None else value}")
        for warning in project_warnings(project=project):
            self.stdout.write(f"! {warning}")

    def _create(self, options: dict[str, Any]) -> None:
        given = {"guidelines": _text(options["guidelines"]), "raters_per_item": options["raters"], "rubric": options["rubric"]}
        wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        project = project_create(name=options["name"], actor=acting_user(options), **wanted, **_settings(options))
        self.stdout.write(f"{project.name} is ready for items: rlwhf import-items --project {project.slug} FILE…")

    def _edit(self, options: dict[str, Any]) -> None:
        project = project_update(
            project=project_known(options["name"]),
            actor=acting_user(options),
            name=options["new_name"],
            guidelines=_text(options["guidelines"]),
            raters_per_item=options["raters"],
            rubric=options["rubric"],
            **_settings(options),
        )
        self.stdout.write("Saved.")
        for warning in project_warnings(project=project):
            self.stdout.write(f"! {warning}")


def _add_settings(parser: ArgumentParser) -> None:
    """An option for each setting, with the words that the form has."""
    about = {name: text.replace("%", "%%") for name, text in HELP.items()}
    parser.add_argument("--mode", choices=Project.Mode.values, help="what people are asked to do")
    parser.add_argument("--order", choices=Project.Order.values, help=about["order"])
    for name in ("asks_spans", "members_only"):
        parser.add_argument(_option(name), action=BooleanOptionalAction, help=about[name])
    for names, kind, metavar in ((WHOLE, int, "N"), (SHARES, float, "NUMBER")):
        for name in names:
            parser.add_argument(_option(name), type=kind, metavar=metavar, help=about[name])
    parser.add_argument("--cap-per-person", type=int, metavar="N", help="scores that one person gives at most; 0: no cap")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: options[name] for name in SETTINGS if options[name] is not None}
    return given | ({"cap_per_person": None} if given.get("cap_per_person") == 0 else {})


def _words(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{name}: {' '.join(told)}" for name, told in error.message_dict.items())


def _text(path: Path | None) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path else None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
