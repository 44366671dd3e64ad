"""rlwhf pipeline: self-rewarding over several rounds, all its stages or one, and the datasets that they take."""

import time
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import ValidationError

from accounts.shell import acting_user, add_user_argument
from annotations.services import DatasetRefused
from annotations.sources.errors import SourceError
from evaluation.management.commands._pipeline_stages import STAGE_NAMES, add_stage_flags, loop_numbered, stage_run
from evaluation.reports.making import TYPES
from evaluation.self_rewarding.few import few_rows
from evaluation.self_rewarding.report import loop_report
from evaluation.self_rewarding.selectors import honesty, loop_detail, loop_document, loops
from evaluation.self_rewarding.services import LoopRefused, loop_resume, loop_stop
from evaluation.self_rewarding.sources import FetchFailed
from evaluation.self_rewarding.steps import round_decide, round_rows_write
from jobs import child
from jobs.follow import status_line
from jobs.models import Job, Pipeline
from training.exceptions import TrainingError
from training.services import RunRefused

ACTIONS = ("list", "show", "stop", "resume", "report", "write-rows", "decide")
REFUSALS = (LoopRefused, RunRefused, DatasetRefused, SourceError, FetchFailed)


class Command(BaseCommand):
    help = "Self-rewarding in rounds: rlwhf pipeline --stage all|STAGE …; rlwhf pipeline [list|show|stop|resume|report] [N]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", choices=ACTIONS, help="in place of a stage; the last two are for jobs")
        parser.add_argument("number", nargs="?", type=int, help="of the loop (of the job, for write-rows and decide)")
        parser.add_argument("--stage", choices=STAGE_NAMES, help="what to do; all: every round with every stage")
        parser.add_argument("--regardless", action="store_true", help="resume: also after it ended early")
        parser.add_argument("--json", action="store_true", help="show: all of it, as JSON")
        parser.add_argument("--output", type=Path, default=Path(), help="report: a file (.html or .pdf) or a folder")
        parser.add_argument("--wait", action="store_true", help="tell what happens until nothing is under way any more")
        parser.add_argument("--folder", type=Path, default=Path(), help="of a job")
        add_stage_flags(parser)
        add_user_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["stage"]) == bool(options["action"]) and options["stage"]:
            raise CommandError("Give a --stage, or say what to do with a loop; not both.")
        try:
            if options["stage"]:
                self._stage(options)
            else:
                getattr(self, f"_{(options['action'] or 'list').replace('-', '_')}")(options)
        except REFUSALS as refused:
            raise CommandError(str(refused)) from refused
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise CommandError(f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")) from error

    def _stage(self, options: dict[str, Any]) -> None:
        pipeline = stage_run(options, actor=acting_user(options), write=self.stdout.write)
        if pipeline is not None and options["wait"]:
            self._wait(pipeline)

    def _list(self, options: dict[str, Any]) -> None:
        found = False
        for pipeline in loops():
            found = True
            self.stdout.write(f"{pipeline.pk:4} {pipeline.name:50} {loop_detail(pipeline).state}")
        if not found:
            self.stdout.write("There is no loop yet: rlwhf pipeline --stage all --model-path MODEL --prompts … --benchmark …")

    def _show(self, options: dict[str, Any]) -> None:
        if options["wait"]:
            self._wait(loop_numbered(options["number"]))
        loop = loop_detail(loop_numbered(options["number"]))
        if options["json"]:
            self.stdout.write(orjson.dumps(loop_document(loop), option=orjson.OPT_INDENT_2).decode())
            return
        metric = loop.settings.metric
        self.stdout.write(f"{loop.pipeline.name}: {loop.state}. {loop.problem}".strip())
        self.stdout.write(f"start    {loop.start}  {metric} {_figure(honesty(loop.start_evaluation, metric))}")
        for one in loop.rounds:
            steps = ", ".join(f"{step.stage} {step.job.state}" for step in one.steps if step.job is not None)
            self.stdout.write(f"round {one.number}  {one.run or one.model}  {metric} {_figure(honesty(one.evaluation, metric))}")
            self.stdout.write(f"         {steps}")
            if few := few_rows(one.figures, loop.settings.method):
                self.stdout.write(f"         {few}")
            if one.decision:
                self.stdout.write(f"         {one.decision['reason']}")

    def _stop(self, options: dict[str, Any]) -> None:
        loop_stop(pipeline=loop_numbered(options["number"]), actor=acting_user(options))
        self.stdout.write("What had not ended is stopped; `resume` goes on.")

    def _resume(self, options: dict[str, Any]) -> None:
        pipeline = loop_numbered(options["number"])
        loop_resume(pipeline=pipeline, actor=acting_user(options), regardless=options["regardless"])
        self.stdout.write("It goes on.")
        if options["wait"]:
            self._wait(pipeline)

    def _report(self, options: dict[str, Any]) -> None:
        output: Path = options["output"]
        ending = output.suffix.removeprefix(".")
        loop = loop_detail(loop_numbered(options["number"]))
        made = loop_report(loop, format=ending if ending in TYPES else "html")
        path = output / made.name if output.is_dir() else output
        path.write_bytes(made.content)
        self.stdout.write(str(path))

    def _write_rows(self, options: dict[str, Any]) -> None:
        """In a job's child process."""
        child.watch_parent()
        folder: Path = options["folder"]
        try:
            child.report_result(round_rows_write(job=_job(options)), folder=folder)
        except DatasetRefused as refused:
            child.report_failure(reason=str(refused), hint=refused.hint, kind="bad-data", folder=folder)
            raise SystemExit(1) from refused
        except TrainingError as error:
            child.report_failure(reason=error.reason, hint=error.hint, kind=error.kind, folder=folder)
            raise SystemExit(1) from error

    def _decide(self, options: dict[str, Any]) -> None:
        """In a job's child process."""
        child.watch_parent()
        decision = round_decide(job=_job(options))
        self.stdout.write(decision.reason)
        child.report_result({"decision": decision.as_dict()}, folder=options["folder"])

    def _wait(self, pipeline: Pipeline) -> None:
        """A line for each change of a job. Ctrl-C ends the watching, not the loop."""
        said: dict[int, str] = {}
        began = time.monotonic()
        while True:
            jobs = list(pipeline.jobs.order_by("id"))
            for job in jobs:
                line = status_line(job)
                if job.state != "queued" and said.get(job.pk) != line:
                    self.stderr.write(f"{time.monotonic() - began:5.0f} s  {line}")
                    said[job.pk] = line
            if all(job.has_ended for job in jobs) and not pipeline.jobs.exclude(pk__in=[job.pk for job in jobs]).exists():
                break
            time.sleep(0.5)
        bad = [job for job in jobs if job.state in {"failed", "stopped"}]
        if bad:
            raise CommandError(f"{bad[0].title} {bad[0].state}: {bad[0].reason} {bad[0].hint}".strip())


def _job(options: dict[str, Any]) -> Job:
    return Job.objects.get(pk=options["number"])


def _figure(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not measured"
    interval = f" [{found['low']:.3f}, {found['high']:.3f}]" if found.get("low") is not None else ""
    return f"{found['value']:.3f}{interval}"
