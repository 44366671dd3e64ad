"""rlwhf items: find, tag, assign, export, delete and restore items, and undo it."""

import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.shell import acting_user, add_user_argument
from annotations import selectors, services
from annotations.models import BulkAction, SavedView
from annotations.selectors import ItemFilter, SearchRefused
from annotations.selectors.item_filter import ITEM_SORTS, ITEM_STATES, PARSERS
from annotations.services import BulkRefused, ViewRefused
from annotations.services.bulk import title
from annotations.services.bulk_changes import LEFT_OUT
from annotations.services.item_export import FORMATS
from jobs import child
from jobs.follow import follow, succeeded

HELP = {
    "project": "name or address part of the project",
    "q": "words, “a phrase”, -without; or the number of an item",
    "state": ", ".join(filter(None, ITEM_STATES)),
    "to": "assigned to this person",
    "source": "the model that answered",
    "spread": "people's scores lie at least so far apart",
    "knowledge": "known or unknown",
    "iteration": "the round of a revised answer; 0: as imported",
    "since": "imported since: 2026-11-30, 7d or 24h",
    "sort": ", ".join(filter(None, ITEM_SORTS)),
}
# Each with what it asks for besides which items.
ACTIONS = {
    "tag": "put tags on items", "untag": "take tags off", "assign": "give items to people to score", "unassign": "take that back",
    "priority": "2 to 9 go before others; 0 takes it back", "skill": "the skill that items take", "delete": "delete items",
    "restore": "bring deleted items back",
}  # fmt: skip


class Command(BaseCommand):
    help = (
        "Items: rlwhf items list|export --project NAME --q WORDS…; tag|untag TAG…; assign|unassign PEOPLE…; priority N; "
        "skill NAME; delete; restore; actions; undo N; views|view-save|view-delete; purge --older-than 30d"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listed = actions.add_parser("list", help="the items that match")
        listed.add_argument("--limit", type=int, default=50)
        listed.add_argument("--after", default="", help="go on from here: what the last page ended with")
        export = actions.add_parser("export", help="write items to a file")
        export.add_argument("--out", type=Path, help="the file (default: standard output)")
        export.add_argument("--format", choices=FORMATS, default="jsonl")
        export.add_argument("--with-scores", action="store_true", help="with the scores that the person may see")
        for name, about in ACTIONS.items():
            one = actions.add_parser(name, help=about)
            if name in {"tag", "untag"}:
                one.add_argument("tags", nargs="+", metavar="TAG")
            elif name in {"assign", "unassign"}:
                one.add_argument("people", nargs="+" if name == "assign" else "*", metavar="NAME")
            elif name in {"priority", "skill"}:
                one.add_argument("value", help="empty for none" if name == "skill" else "0 to 9")
            if name == "assign":
                one.add_argument("--to-all", action="store_true", help="each item to all of them, not to one in turn")
            one.add_argument("--wait", action="store_true", help="where a worker does it: show progress, and end when it does")
        for name in ("list", "export", *ACTIONS):
            _add_filter(actions.choices[name])
        self._add_others(actions)

    def _add_others(self, actions: Any) -> None:
        actions.add_parser("actions", help="what was done to many items, newest first")
        undo = actions.add_parser("undo", help="take back what an action changed")
        undo.add_argument("number", type=int)
        undo.add_argument("--wait", action="store_true")
        views = actions.add_parser("views", help="the saved views of a person")
        save = actions.add_parser("view-save", help="keep a filter under a name")
        save.add_argument("name")
        save.add_argument("--shared", action="store_true")
        _add_filter(save, with_items=False)
        delete = actions.add_parser("view-delete", help="delete a saved view")
        delete.add_argument("name")
        purge = actions.add_parser("purge", help="remove for good what was deleted long ago")
        purge.add_argument("--older-than", type=_span, required=True, metavar="30d")
        for one in (undo, views, delete, purge):
            add_user_argument(one)
        carry = actions.add_parser("carry-out", help="for workers: do an action that a page queued, or undo it")
        carry.add_argument("number", type=int)
        carry.add_argument("--undo", action="store_true")
        carry.add_argument("--folder", type=Path, default=Path())

    def handle(self, *args: Any, **options: Any) -> None:
        others = {
            "list": self._list, "export": self._export, "actions": self._actions, "undo": self._undo, "views": self._views,
            "view-save": self._view_save, "view-delete": self._view_delete, "purge": self._purge, "carry-out": _carry_out,
        }  # fmt: skip
        try:
            others.get(options["action"], self._change)(options)
        except (BulkRefused, SearchRefused, ViewRefused) as refused:
            raise CommandError(str(refused)) from refused

    def _list(self, options: dict[str, Any]) -> None:
        user, wanted = acting_user(options), _wanted(options)
        place = selectors.place_read(text=options["after"], wanted=wanted, backwards=False)
        page = selectors.item_page(wanted=wanted, user=user, size=max(1, options["limit"]), place=place)
        for item in selectors.item_rows(items=page.items):
            state = "deleted" if item.deleted_at else "open" if item.is_open else "closed"
            tags = " ".join(f"[{tag}]" for tag in item.tags)
            asked = " ".join(item.asked.split())  # type: ignore[attr-defined]
            self.stdout.write(f"{item.pk:>9}  {state:8} {item.source_model:20.20} {asked:60.60} {tags}")
        on = f"; on with --after {page.later}" if page.later else ""
        self.stdout.write(f"{'more than ' if page.is_capped else ''}{page.total} items{on}")

    def _export(self, options: dict[str, Any]) -> None:
        pieces = services.item_export(
            kind=options["format"], with_scores=options["with_scores"], actor=acting_user(options), **_which(options)
        )
        if options["out"] is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            return
        try:
            with options["out"].open("wb") as file:
                file.writelines(pieces)
        except OSError as error:
            raise CommandError(f"{options['out']} cannot be written: {error.strerror}.") from error
        self.stderr.write(f"Written to {options['out']}.")

    def _change(self, options: dict[str, Any]) -> None:
        settings: dict[str, Any] = {name: options[name] for name in ("tags", "people", "value") if name in options}
        if options["action"] == "assign":
            settings["how"] = "all" if options["to_all"] else "turns"
        record = services.bulk_start(action=options["action"], settings=settings, actor=acting_user(options), **_which(options))
        if record.job and options["wait"]:
            _followed(record.job, self.stderr.write)
            record.refresh_from_db()
        self._tell(record)

    def _tell(self, record: BulkAction) -> None:
        how_far = "" if record.done_at else f" so far; job {record.job_id} does it" if record.job_id else " so far"
        self.stdout.write(f"{title(record)}: {record.changed} changed{how_far}. Undo: rlwhf items undo {record.pk}")
        for why, number in record.left_out.items():
            self.stdout.write(f"  {number} {LEFT_OUT.get(why, why)}")

    def _actions(self, options: dict[str, Any]) -> None:
        for record in selectors.bulk_list()[:100]:
            state = "undone" if record.undone_at else "done" if record.done_at else "under way"
            by = record.actor.username if record.actor else "-"
            at = f"{record.created_at:%Y-%m-%d %H:%M}"
            self.stdout.write(f"{record.pk:>6}  {at}  {state:10} {record.changed:>8}  {by:16} {title(record)}")

    def _undo(self, options: dict[str, Any]) -> None:
        record = BulkAction.objects.filter(pk=options["number"]).first()
        if record is None:
            raise CommandError(f"There is no action {options['number']}. `rlwhf items actions` lists them.")
        record = services.bulk_undo(record=record, actor=acting_user(options))
        if record.undo_job and options["wait"]:
            _followed(record.undo_job, self.stderr.write)
            record.refresh_from_db()
        far = "" if record.undone_at else f" so far; job {record.undo_job_id} does it"
        self.stdout.write(f"Undone for {record.undone} of {record.changed} items{far}.")

    def _views(self, options: dict[str, Any]) -> None:
        for view in selectors.saved_views(user=_somebody(options)):
            self.stdout.write(f"{view.name:40} {view.owner.username:16} {'shared' if view.is_shared else '':7} {view.query}")

    def _view_save(self, options: dict[str, Any]) -> None:
        wanted = _wanted(options)
        services.view_save(name=options["name"], wanted=wanted, is_shared=options["shared"], actor=_somebody(options))
        self.stdout.write(f"Kept: {wanted.query}")

    def _view_delete(self, options: dict[str, Any]) -> None:
        user = _somebody(options)
        view = SavedView.objects.filter(owner=user, name=options["name"]).first()
        if view is None:
            raise CommandError(f"{user} has no view “{options['name']}”.")
        services.view_delete(view=view, actor=user)
        self.stdout.write("Deleted.")

    def _purge(self, options: dict[str, Any]) -> None:
        purged = services.items_purge(older_than=options["older_than"], actor=acting_user(options))
        self.stdout.write(f"{purged.items} items removed for good.")
        if purged.revised:
            self.stdout.write(f"{purged.revised} stay: answers that are still there revise them.")


def _add_filter(parser: CommandParser, *, with_items: bool = True) -> None:
    if with_items:
        parser.add_argument("--item", dest="items", type=int, nargs="+", default=[], metavar="N", help="these items, by number")
        parser.add_argument("--all", dest="everything", action="store_true", help="every item there is, where no filter is given")
    for name in PARSERS:
        parser.add_argument(f"--{name.replace('_', '-')}", dest=f"wanted_{name}", metavar="X", help=HELP.get(name, ""))
    add_user_argument(parser)


def _wanted(options: dict[str, Any]) -> ItemFilter:
    values = {name: options[f"wanted_{name}"] for name in PARSERS if options[f"wanted_{name}"]}
    wanted = selectors.item_filter(values=values, user=acting_user(options))
    if wanted.refused:
        raise CommandError(" ".join(f"--{name.replace('_', '-')}: {why}" for name, why in wanted.refused.items()))
    return wanted


def _which(options: dict[str, Any]) -> dict[str, Any]:
    wanted = _wanted(options)
    if options["items"]:
        if wanted.asked:
            raise CommandError("Name items, or give a filter; not both.")
        return {"items": options["items"]}
    if not wanted.asked and not options["everything"]:
        raise CommandError("Say which: --item N…, a filter such as --project NAME, or --all.")
    return {"wanted": wanted}


def _somebody(options: dict[str, Any]) -> User:
    user = acting_user(options)
    if user is None:
        raise CommandError("A view belongs to somebody: say --user NAME.")
    return user


def _followed(job: Any, tell: Any) -> None:
    succeeded(follow(job, tell))


def _span(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in "hd" and len(number) < 6):
        raise CommandError(f"“{text}” is no time: write 30d or 12h.")
    return timedelta(days=int(number)) if unit == "d" else timedelta(hours=int(number))


def _carry_out(options: dict[str, Any]) -> None:
    """In a job's child process. Asked to stop, it ends after the batch that is under way."""
    child.watch_parent()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    record = BulkAction.objects.get(pk=options["number"])
    folder = options["folder"]

    def tell(done: int, total: int) -> None:
        child.report_progress(done=done, total=total, note=f"{done} of {total} batches", folder=folder)

    carry_out = services.bulk_undo_carry_out if options["undo"] else services.bulk_carry_out
    record = carry_out(record=record, tell=tell, stopped=lambda: bool(stopped))
    if stopped:
        raise SystemExit(child.STOPPED_EXIT_CODE)
    child.report_result({"changed": record.changed, "undone": record.undone, "left_out": record.left_out}, folder=folder)
