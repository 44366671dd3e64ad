"""rlwhf teachers: models that score, how they judge, and what they said."""

import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Endpoint
from accounts.shell import acting_user, add_user_argument
from annotations.management.commands.import_items import project_known
from annotations.models import Teacher, TeacherRun
from annotations.selectors.teachers import teacher_list
from annotations.services.teachers import DEFAULT_PROMPT, TeacherRefused, teacher_run_queue, teacher_save, teacher_switch
from annotations.teacher_quality import quality_of
from annotations.teachers.prompts import load_prompt, prompt_names
from annotations.teaching import TeacherGone, TeacherUnreadable, TeachingStopped, carry_out
from jobs import child
from jobs.follow import follow, succeeded


class Command(BaseCommand):
    help = "AI teachers: rlwhf teachers list | prompts | save NAME --endpoint E | run NAME PROJECT | quality NAME PROJECT | rest"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="those that there are")
        actions.add_parser("prompts", help="what teachers can be asked")
        save = actions.add_parser("save", help="make one, or the next version of one")
        run = actions.add_parser("run", help="have it score what it has not scored in a project, and wait")
        quality = actions.add_parser("quality", help="hold its scores against a project's people")
        rest, wake = (
            actions.add_parser(name, help=about) for name, about in (("rest", "have it rest"), ("wake", "have it work again"))
        )
        for one in (save, run, rest, wake):
            one.add_argument("name")
        quality.add_argument("name", help="NAME, or NAME@NUMBER for an earlier version")
        for one in (run, quality):
            one.add_argument("project", help="name or address part of the project")
        for one in (save, run, rest, wake):
            add_user_argument(one)
        save.add_argument("--endpoint", required=True, help="see `rlwhf endpoints list`")
        save.add_argument("--prompt", default=DEFAULT_PROMPT, help="name of one of ours, or a JSON file")
        save.add_argument("--weight", type=float, default=1.0)
        save.add_argument("--uses-reference", action="store_true", help="tell it the gold answer, where there is one")
        save.add_argument("--max-tokens", type=int, default=400)
        save.add_argument("--temperature", type=float, default=0.0)
        save.add_argument("--fallback", help="the endpoint that is asked where the first cannot be had")
        save.add_argument("--uses-rules", action="store_true", help="then judge by the words alone")
        save.add_argument("--search", default="", dest="search_url", help="a search service in SearXNG's form, http://HOST:PORT")
        save.add_argument("--search-model", help="the endpoint that is asked what it knows where no search can be had")
        save.add_argument("--max-calls", type=int)
        save.add_argument("--max-cost", type=Decimal)
        save.add_argument("--note", default="")
        run.add_argument("--most", type=int, help="items, at most")
        carried = actions.add_parser("carry-out", help="carry out a run that was queued; for workers")
        carried.add_argument("run", type=int)
        carried.add_argument("--folder", type=Path, default=Path())

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "carry-out":
            _carry_out(options["run"], options["folder"])
            return
        try:
            getattr(self, f"_{options['action']}")(options)
        except TeacherRefused as refused:
            raise CommandError(f"{refused.field}: {refused}") from refused

    def _list(self, options: dict[str, Any]) -> None:
        found = teacher_list()
        if not found:
            self.stdout.write("There is no teacher yet: rlwhf teachers save NAME --endpoint … makes one.")
        for one in found:
            newest = one.newest
            told = f"{newest}  {newest.endpoint.name} ({newest.model})" if newest else one.teacher.name
            counts = [f"{one.scores} scores"] if one.scores or not one.rankings else []
            counts += [f"{one.rankings} comparisons"] if one.rankings else []
            self.stdout.write(f"{told}  {', '.join(counts)}{'' if one.teacher.is_active else ', rests'}")

    def _prompts(self, options: dict[str, Any]) -> None:
        for name in prompt_names():
            prompt = load_prompt(name)
            self.stdout.write(f"{name:24} {prompt.kind:11} {prompt.title}")

    def _save(self, options: dict[str, Any]) -> None:
        same = "weight uses_reference max_tokens temperature uses_rules search_url max_calls max_cost note"
        made = teacher_save(
            name=options["name"],
            endpoint=_endpoint(options["endpoint"]),
            fallback=_endpoint(options["fallback"]) if options["fallback"] else None,
            search_model=_endpoint(options["search_model"]) if options["search_model"] else None,
            prompt=_prompt(options["prompt"]),
            actor=acting_user(options),
            **{name: options[name] for name in same.split()},
        )
        self.stdout.write(f"{made} judges from now on.")

    def _run(self, options: dict[str, Any]) -> None:
        project = project_known(options["project"])
        run = teacher_run_queue(
            teacher=_teacher(options["name"]), project=project, most=options["most"], actor=acting_user(options)
        )
        ended = follow(run.job, self.stderr.write)
        run.refresh_from_db()
        told = f"{run.scored} scored, {run.cannot_tell} that it could not tell, {run.malformed} malformed"
        self.stdout.write(f"{run.version}: {told}. {run.ended_early}".strip())
        succeeded(ended)

    def _quality(self, options: dict[str, Any]) -> None:
        name, at, number = options["name"].partition("@")
        versions = _teacher(name).versions.select_related("teacher", "rater")
        version = versions.filter(number=int(number) if number.isdecimal() else 0).first() if at else versions.first()
        if version is None:
            raise CommandError(f"There is no version “{options['name']}”.")
        told = {"teacher": str(version)} | quality_of(version, project_known(options["project"]))
        self.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())

    def _rest(self, options: dict[str, Any]) -> None:
        teacher_switch(teacher=_teacher(options["name"]), is_active=False, actor=acting_user(options))

    def _wake(self, options: dict[str, Any]) -> None:
        teacher_switch(teacher=_teacher(options["name"]), is_active=True, actor=acting_user(options))


def _carry_out(run: int, folder: Path) -> None:
    """In a job's child process. Asked to stop, it takes down what is under way, which is paid for."""
    child.watch_parent()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    found = TeacherRun.objects.select_related("project__rubric_version", "version__teacher", "version__rater").get(pk=run)
    try:
        ended = carry_out(
            found,
            tell=lambda done, total: child.report_progress(done=done, total=total, folder=folder),
            stop=lambda: bool(stopped),
        )
    except TeachingStopped:
        raise SystemExit(child.STOPPED_EXIT_CODE) from None
    except TeacherGone as gone:
        child.report_failure(reason=str(gone), hint="What it has scored stays; have it score the rest later.", folder=folder)
        raise SystemExit(1) from gone
    except TeacherUnreadable as unreadable:
        child.report_failure(reason=str(unreadable), hint=unreadable.hint, kind="bad-data", folder=folder)
        raise SystemExit(1) from unreadable
    if ended.malformed:
        heard = ended.malformed + ended.scored + ended.cannot_tell
        what = "prompts had a reply that" if ended.version.compares else "replies"
        gave = "no order" if ended.version.compares else "no score"
        child.report_notice(
            f"{ended.malformed} of {heard} {what} could not be read: they gave {gave}, and the next run asks anew.", folder=folder
        )
    ended.quality = orjson.loads(orjson.dumps(quality_of(ended.version, ended.project), option=orjson.OPT_SERIALIZE_NUMPY))
    ended.save(update_fields=["quality"])
    child.report_result({"scored": ended.scored, "malformed": ended.malformed, "cannot_tell": ended.cannot_tell}, folder=folder)


def _teacher(name: str) -> Teacher:
    found = Teacher.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no teacher “{name}”: `rlwhf teachers list`.")
    return found


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no endpoint “{name}”: `rlwhf endpoints list`.")
    return found


def _prompt(wanted: str) -> str | dict[str, Any]:
    if wanted in prompt_names() or not Path(wanted).is_file():
        return wanted
    try:
        found = orjson.loads(Path(wanted).read_bytes())
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{wanted}: {error}") from error
    return dict(found)
