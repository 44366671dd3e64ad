"""A model that a harness asks: a benchmark's questions go through the harness, whatever else is asked goes straight to the model.

What answers is the same either way, so figures differ only where a harness asks otherwise. A local model is served to the
harness over HTTP (`evaluation.serving`), so no harness loads weights, and adapters and runs work with all of them.
"""

from __future__ import annotations

import math
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from accounts.chat.service import AT_ONCE, KEY_VARIABLE, ChatService
from evaluation.asking.local import LocalModel
from evaluation.asking.replies import How, Keep, Reply, Wanted
from evaluation.asking.service import ServiceModel
from evaluation.benchmarks.folder import BenchmarkFolder, Question
from evaluation.harnesses.environment import HarnessFailed, ensure
from evaluation.harnesses.request import ANSWERS, MEASURES, REPORT, REQUEST, Line, Report, Request, mean, measures_of
from evaluation.harnesses.table import HARNESSES, HarnessName
from training.backends.swift.environment import Progress
from training.exceptions import Stopped
from training.specs import HardwareSpec
from training.stopping import StopRequest

ROOT: Final = Path(__file__).resolve().parents[2]
LOOK_EVERY_S: Final = 0.2
STOP_GRACE_S: Final = 20.0
LOG: Final = "harness.log"
QUESTIONS: Final = "questions"
TASK_TOKENS: Final = 256
"""How long an answer to a task may be that does not say so itself."""


@dataclass(frozen=True)
class Served:
    """A service as a harness is told of it."""

    base_url: str
    model: str
    key: str
    at_once: int
    timeout_s: float
    tokenizer: Path | None = None
    longest: int | None = None


@dataclass
class HarnessModel:
    """Replies to a benchmark's questions through a harness that runs in `folder`. `inner` is whom it asks."""

    name: HarnessName
    inner: LocalModel | ServiceModel
    benchmark: BenchmarkFolder
    folder: Path
    path: str = ""
    service: ChatService | None = None
    hardware: HardwareSpec = field(default_factory=HardwareSpec)
    prompt_format: str = "auto"
    batch_size: int = 32
    tell: Progress = lambda done, total, note: None  # noqa: ARG005 (nobody listens)

    @property
    def digest(self) -> str:
        return self.inner.digest

    def settings(self) -> Mapping[str, Any]:
        harness = HARNESSES[self.name]
        return {**self.inner.settings(), "harness": f"{harness.package} {harness.version}"}

    def unload(self) -> None:
        if isinstance(self.inner, LocalModel):
            self.inner.unload()

    def reply(self, wanted: Sequence[Wanted], how: How, *, keep: Keep, stop: StopRequest) -> None:
        """The benchmark's questions by the harness, anything else by the model. Raises Stopped or HarnessFailed."""
        by_key = {Wanted(one.prompt).key: one for one in reversed(self.benchmark.questions)}
        through = {by_key[one.key].id: index for index, one in enumerate(wanted) if how.temperature == 0 and one.key in by_key}
        others = [index for index in range(len(wanted)) if index not in set(through.values())]
        if through:
            self._ask(through, how, keep, stop)
        if others:
            self.inner.reply(
                [wanted[index] for index in others],
                how,
                keep=lambda found: keep([(others[index], reply) for index, reply in found]),
                stop=stop,
            )

    def described(self, tasks: Sequence[str], *, limit: int | None, stop: StopRequest) -> dict[str, Any]:
        """What a scorecard says of the harness, `tasks` of its own asked first. Raises Stopped or HarnessFailed.

        The harness' figures are of the questions that its last run asked: after an interruption, not of all.
        """
        harness = HARNESSES[self.name]
        last = self.folder / QUESTIONS / REPORT
        report = Report.model_validate_json(last.read_bytes()) if last.is_file() else None
        return {
            "name": self.name, "title": harness.title, "version": harness.version,
            "n": report.n if report else 0, "metrics": report.metrics if report else {},
            "tasks": self._tasks(tasks, limit=limit, stop=stop) if tasks else {}, "task_limit": limit,
        }  # fmt: skip

    def _tasks(self, names: Sequence[str], *, limit: int | None, stop: StopRequest) -> dict[str, dict[str, float | None]]:
        """The figures of the harness' own tasks. Done once, and kept in the folder."""
        place = self.folder / "tasks"
        done = place / REPORT
        if not done.is_file():
            self._run(place, self._request([], TASK_TOKENS, tasks=list(names), limit=limit), stop, lambda: None)
        return Report.model_validate_json(done.read_bytes()).tasks

    # --- one run of the harness

    def _ask(self, through: Mapping[str, int], how: How, keep: Keep, stop: StopRequest) -> None:
        place = self.folder / QUESTIONS
        (place / ANSWERS).unlink(missing_ok=True)
        request = self._request(list(through), how.max_new_tokens)
        judged: dict[str, Line] = {}
        lines = _Lines(place / ANSWERS)

        def look() -> None:
            news = {line.id: line for line in lines.new() if line.id not in judged}
            judged.update(news)
            keep([(through[line.id], Reply(line.answer, line.logprob, line.tokens)) for line in news.values()])

        (place / REPORT).unlink(missing_ok=True)
        self._run(place, request, stop, look)
        self._check(list(judged.values()), through, Report.model_validate_json((place / REPORT).read_bytes()))

    def _check(self, lines: Sequence[Line], through: Mapping[str, int], report: Report) -> None:
        """Raises HarnessFailed where the harness left something out, or its figures are not those of its answers."""
        title = HARNESSES[self.name].title
        missing = through.keys() - {line.id for line in lines}
        if missing:
            raise HarnessFailed(f"{title} left out {len(missing)} of {len(through)} questions.", f"Its log: {LOG}.")
        for name in MEASURES:
            ours, theirs = mean([measures_of(line)[name] for line in lines]), report.metrics.get(name)
            if not math.isnan(ours) and (theirs is None or abs(theirs - ours) > HARNESSES[self.name].rounding):
                raise HarnessFailed(
                    f"{title} says that “{name}” is {theirs}, and its {len(lines)} answers have {ours:.6g}.", f"Its log: {LOG}."
                )

    def _request(self, questions: list[str], max_new_tokens: int, **more: Any) -> Request:
        harness = HARNESSES[self.name]
        if not harness.takes_conversations and any(not isinstance(one.prompt, str) for one in self._of(questions)):
            raise HarnessFailed(
                f"{harness.title} asks one turn, and this benchmark has conversations.", "Choose another harness, or none."
            )
        at_once = self.batch_size if self.service is None else self.service.at_once
        return Request(
            benchmark=self.benchmark.path.resolve(), questions=questions, base_url="", model="", max_new_tokens=max_new_tokens,
            at_once=min(at_once, 256) or AT_ONCE, **more,
        )  # fmt: skip

    def _of(self, ids: Sequence[str]) -> list[Question]:
        wanted = set(ids)
        return [one for one in self.benchmark.questions if one.id in wanted]

    def _run(self, place: Path, request: Request, stop: StopRequest, look: Any) -> None:
        """Serve the model, run the driver, and `look` at what it has written meanwhile."""
        harness = HARNESSES[self.name]
        place.mkdir(parents=True, exist_ok=True)
        python = ensure(harness, self.tell)
        with self._served(place) as served:
            told = request.model_copy(
                update={
                    "base_url": served.base_url, "model": served.model, "at_once": served.at_once,
                    "timeout_s": served.timeout_s, "tokenizer": served.tokenizer, "longest": served.longest,
                }
            )  # fmt: skip
            (place / REQUEST).write_text(told.model_dump_json(), encoding="utf-8")
            with (place / LOG).open("ab") as log:
                command = [str(python), "-m", harness.driver, str(place)]
                child = subprocess.Popen(
                    command, cwd=place, env=_environment(place, served.key), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
                try:
                    _follow(child, stop, look)
                finally:
                    _end(child)
        self._check_end(child.returncode, place)

    def _check_end(self, status: int, place: Path) -> None:
        """Harnesses end well where a task failed: what they report counts, and not their exit status alone."""
        title = HARNESSES[self.name].title
        if status or not (place / REPORT).is_file():
            raise HarnessFailed(f"{title} ended with status {status}: {_last_line(place / LOG)}", f"Its log: {place / LOG}.")
        report = Report.model_validate_json((place / REPORT).read_bytes())
        if report.status != "success":
            raise HarnessFailed(f"{title}: {report.status}: {report.error or 'no reason given'}", f"Its log: {place / LOG}.")

    @contextmanager
    def _served(self, place: Path) -> Iterator[Served]:
        if self.service is not None:
            service = self.service
            yield Served(service.base_url, service.model, os.environ.get(KEY_VARIABLE, ""), service.at_once, service.timeout_s)
            return
        # torch and transformers take seconds to import: only where something is to be asked
        from evaluation.serving.engine import Engine  # noqa: PLC0415 (weight)
        from evaluation.serving.service import serving  # noqa: PLC0415 (weight)

        key = secrets.token_urlsafe(24)
        self.unload()
        engine = Engine("local", self.path, hardware=self.hardware, prompt_format=self.prompt_format, batch_size=self.batch_size)
        engine.tokenizer.save_pretrained(place / "tokenizer")
        with serving([engine], key=key) as address:
            yield Served(address, "local", key, self.batch_size, 600.0, place / "tokenizer", engine.longest)


def _follow(child: subprocess.Popen[bytes], stop: StopRequest, look: Any) -> None:
    stop.defer()
    while child.poll() is None:
        if stop.asked:
            raise Stopped
        look()
        time.sleep(LOOK_EVERY_S)
    look()


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _environment(place: Path, key: str) -> dict[str, str]:
    """What the driver knows: no hub, no proxy for this machine, no secrets but the service's key."""
    secret = (KEY_VARIABLE, "OPENAI_BASE_URL", "VIRTUAL_ENV", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in secret}
    offline = os.environ.get("HF_HUB_OFFLINE", "1")
    return kept | {
        "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OPENAI_API_KEY": key or "none",
        "HF_HUB_OFFLINE": offline, "HF_DATASETS_OFFLINE": offline, "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
        "INSPECT_LOG_DIR": str(place / "inspect"), "XDG_DATA_HOME": str(place / "data"), "EVALSCOPE_CACHE": str(place / "cache"),
        "MODELSCOPE_CACHE": str(place / "cache"),
    }  # fmt: skip


class _Lines:
    """The lines of a file that grows, each once."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def new(self) -> list[Line]:
        """What has come whole since."""
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [Line.model_validate(orjson.loads(line)) for line in whole.splitlines()]


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:400] if lines else "no word"
