"""rlwhf chains: models that answer, review, revise and extend in turn."""

import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Endpoint
from accounts.shell import acting_user, add_user_argument
from annotations.chaining import ChainBroken, ChainStopped, carry_out
from annotations.chains.prompts import load_prompt, prompt_names
from annotations.management.commands.import_items import project_known
from annotations.models import Chain, ChainRun
from annotations.selectors.chains import chain_list, run_counts
from annotations.services.chains import ChainRefused, StepWanted, chain_run_queue, chain_save, chain_switch
from jobs import child
from jobs.follow import follow


class Command(BaseCommand):
    help = "Chains of models: rlwhf chains list | prompts | save NAME --step PROMPT=ENDPOINT … | run NAME PROJECT | rest | wake"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="those that there are")
        actions.add_parser("prompts", help="what a step can be asked")
        save = actions.add_parser("save", help="make one, or the next version of one")
        run = actions.add_parser("run", help="have it go through a project's items, and wait")
        rest, wake = (
            actions.add_parser(name, help=about) for name, about in (("rest", "have it rest"), ("wake", "have it work again"))
        )
        for one in (save, run, rest, wake):
            one.add_argument("name")
            add_user_argument(one)
        save.add_argument(
            "--step", action="append", required=True, dest="steps", metavar="PROMPT=ENDPOINT",
            help="in their order: name of a prompt, or a JSON file with one, and `rlwhf endpoints list`",
        )  # fmt: skip
        save.add_argument("--max-tokens", type=int, default=800, help="of each step's reply")
        save.add_argument("--temperature", type=float, default=0.0)
        save.add_argument("--max-calls", type=int, help="of one run")
        save.add_argument("--max-cost", type=Decimal, help="of one run")
        save.add_argument("--note", default="")
        run.add_argument("project", help="name or address part of the project")
        run.add_argument("--most", type=int, help="items to begin with, at most")
        carried = actions.add_parser("carry-out", help="carry out a run that was queued; for workers")
        carried.add_argument("run", type=int)
        carried.add_argument("--folder", type=Path, default=Path())

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "carry-out":
            _carry_out(options["run"], options["folder"])
            return
        try:
            getattr(self, f"_{options['action']}")(options)
        except ChainRefused as refused:
            raise CommandError(f"{refused.field}: {refused}") from refused

    def _list(self, options: dict[str, Any]) -> None:
        for one in chain_list():
            steps = " → ".join(f"{step.role} ({step.model})" for step in one.newest.steps.all()) if one.newest else "no steps"
            self.stdout.write(f"{one.newest or one.chain}  {steps}  {one.made} items{'' if one.chain.is_active else ', rests'}")

    def _prompts(self, options: dict[str, Any]) -> None:
        for name in prompt_names():
            prompt = load_prompt(name)
            self.stdout.write(f"{name:24} {prompt.role:8} {prompt.title}")

    def _save(self, options: dict[str, Any]) -> None:
        steps = [_step(one, options["max_tokens"], options["temperature"]) for one in options["steps"]]
        same = {name: options[name] for name in ("max_calls", "max_cost", "note")}
        made = chain_save(name=options["name"], steps=steps, actor=acting_user(options), **same)
        self.stdout.write(f"{made} works from now on.")

    def _run(self, options: dict[str, Any]) -> None:
        project, chain = project_known(options["project"]), _chain(options["name"])
        run = chain_run_queue(chain=chain, project=project, most=options["most"], actor=acting_user(options))
        ended = follow(run.job, self.stderr.write)
        run.refresh_from_db()
        counted = run_counts(run)
        told = f"{counted['calls']} calls, {counted['made']} items made, {counted['failed']} failed"
        self.stdout.write(f"{run.version}: {told}. {run.ended_early}".strip())
        if ended.state != "succeeded":
            raise CommandError(f"{ended.title} {ended.state}: {ended.reason} {ended.hint}".strip())

    def _rest(self, options: dict[str, Any]) -> None:
        chain_switch(chain=_chain(options["name"]), is_active=False, actor=acting_user(options))

    def _wake(self, options: dict[str, Any]) -> None:
        chain_switch(chain=_chain(options["name"]), is_active=True, actor=acting_user(options))


def _carry_out(run: int, folder: Path) -> None:
    """In a job's child process. Asked to stop, it takes down what is under way, which is paid for."""
    child.watch_parent()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    found = ChainRun.objects.select_related("project", "version__chain").get(pk=run)
    try:
        carry_out(
            found,
            tell=lambda done, total: child.report_progress(done=done, total=total, folder=folder),
            stop=lambda: bool(stopped),
        )
    except ChainStopped:
        raise SystemExit(child.STOPPED_EXIT_CODE) from None
    except ChainBroken as broken:
        hint = "What was said stays; have the chain go on later, or with another endpoint."
        child.report_failure(reason=str(broken), hint=hint, folder=folder)
        raise SystemExit(1) from broken
    child.report_result(run_counts(found), folder=folder)


def _chain(name: str) -> Chain:
    found = Chain.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no chain “{name}”: `rlwhf chains list`.")
    return found


def _step(wanted: str, max_tokens: int, temperature: float) -> StepWanted:
    prompt, _, name = wanted.rpartition("=")
    if not prompt:
        raise CommandError(f"“{wanted}” is no step: give PROMPT=ENDPOINT, such as review-1=local.")
    endpoint = Endpoint.objects.filter(name=name).first()
    if endpoint is None:
        raise CommandError(f"There is no endpoint “{name}”: `rlwhf endpoints list`.")
    if prompt in prompt_names() or not Path(prompt).is_file():
        return StepWanted(prompt, endpoint, max_tokens, temperature)
    try:
        return StepWanted(orjson.loads(Path(prompt).read_bytes()), endpoint, max_tokens, temperature)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{prompt}: {error}") from error
