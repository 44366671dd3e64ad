"""A model whose benchmark's questions a harness asks.

What answers is the same either way, so figures differ only where a harness asks otherwise. A local model is served to the
harness over HTTP (`evaluation.serving`), so no harness loads weights, and adapters and runs work with all of them.
"""

from __future__ import annotations

import math
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import orjson

from accounts.chat.service import ChatService, Usage
from evaluation.asking.local import LocalModel
from evaluation.asking.replies import How, Keep, Reply, Wanted
from evaluation.asking.service import ServiceModel
from evaluation.benchmarks.folder import BenchmarkFolder, Question
from evaluation.harnesses.environment import HarnessFailed, python_of
from evaluation.harnesses.request import ANSWERS, MEASURES, REPORT, REQUEST, Line, Report, Request, mean, measures_of
from evaluation.harnesses.table import HARNESSES, HarnessName
from training.exceptions import Stopped
from training.specs import HardwareSpec
from training.stopping import StopRequest
from training.virtual_environments import Progress

ROOT: Final = Path(__file__).resolve().parents[2]
LOOK_EVERY_S: Final = 0.2
STOP_GRACE_S: Final = 10.0
LOG: Final = "harness.log"
QUESTIONS: Final = "questions"
PASSED: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "SYSTEMROOT",
    "USERPROFILE", "LOCALAPPDATA", "APPDATA", "OMP_NUM_THREADS", "XDG_CACHE_HOME", "NLTK_DATA", "TIKTOKEN_CACHE_DIR",
    "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "RLWHF_LM_EVAL_TASKS",
})  # fmt: skip
"""What of our environment a harness gets: where things are, and in which language."""
PASSED_ONLINE: Final = frozenset({
    "HF_ENDPOINT", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
})  # fmt: skip
"""What else, where the worker's owner has it fetch the data of tasks."""
DISBELIEVED: Final = "disbelieved.json"
"""A report that was not believed, for people to read."""
MOST_AT_ONCE: Final = 256


class Disbelieved(HarnessFailed):
    """A harness left something out, or its figures are not those of its answers."""


AskOf = Callable[..., Request]
"""What is to be asked; whom, is told where it is called."""


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
    used: Usage = field(default_factory=Usage)
    """What of a service was used through the harness; what `inner` asked, it counts itself."""

    @property
    def digest(self) -> str:
        return self.inner.digest

    def settings(self) -> Mapping[str, Any]:
        harness = HARNESSES[self.name]
        return {**self.inner.settings(), "harness": f"{harness.package} {harness.version}"}

    def unload(self) -> None:
        if isinstance(self.inner, LocalModel):
            self.inner.unload()

    def usage(self) -> dict[str, Any]:
        """What was used of a service, by the harness and past it; nothing for a model of this machine."""
        if self.service is None or not isinstance(self.inner, ServiceModel):
            return {}
        past = self.inner.usage()
        counts = {name: past[name] + value for name, value in asdict(self.used).items() if name in past}
        return {**counts, "cost": Usage(**counts).cost(self.service)}

    def asks(self, wanted: Wanted, how: How) -> bool:
        """Whether the harness asks this: one of the benchmark's questions, to be answered by the likeliest tokens."""
        return how.temperature == 0 and wanted.key in self._questions

    def reply(self, wanted: Sequence[Wanted], how: How, *, keep: Keep, stop: StopRequest) -> None:
        """Questions that it `asks`. Raises Stopped, Disbelieved or HarnessFailed."""
        self._ask({self._questions[one.key]: index for index, one in enumerate(wanted)}, how, keep, stop)

    @cached_property
    def _questions(self) -> Mapping[str, str]:
        """The questions' ids by what is asked; the first one's, where two ask the same."""
        return {Wanted(one.prompt).key: one.id for one in reversed(self.benchmark.questions)}

    def described(self) -> dict[str, Any]:
        """What a scorecard says of the harness. Raises Disbelieved.

        The harness' figures are of the questions that its last run asked: after an interruption, not of all. They are held
        against its answers here too: a process that was killed may never have come to it.
        """
        harness = HARNESSES[self.name]
        report = self._last_report()
        return {
            "name": self.name, "title": harness.title, "version": harness.version,
            "n": report.n if report else 0, "metrics": report.metrics if report else {},
        }  # fmt: skip

    def _last_report(self) -> Report | None:
        place = self.folder / QUESTIONS
        if not (place / REPORT).is_file():
            return None
        report = Report.model_validate_json((place / REPORT).read_bytes())
        asked = Request.model_validate_json((place / REQUEST).read_bytes()).questions
        self._check({line.id: line for line in reversed(_Lines(place / ANSWERS).new())}.values(), asked, report)
        return report

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
        self._check(judged.values(), through, Report.model_validate_json((place / REPORT).read_bytes()))

    def _check(self, lines: Collection[Line], asked: Collection[str], report: Report) -> None:
        """Raises Disbelieved where the harness left something out, or its figures are not those of its answers.

        Its report is put aside then, for people to read: nothing may take it for one that was believed.
        """
        reason = self._doubt(lines, asked, report)
        if reason:
            place = self.folder / QUESTIONS
            with suppress(FileNotFoundError):
                (place / REPORT).replace(place / DISBELIEVED)
            raise Disbelieved(reason, f"Its log: {place / LOG}. Started again, it asks everything anew.")

    def _doubt(self, lines: Collection[Line], asked: Collection[str], report: Report) -> str:
        title = HARNESSES[self.name].title
        missing = set(asked) - {line.id for line in lines}
        if missing:
            return f"{title} left out {len(missing)} of {len(asked)} questions."
        for name in MEASURES:
            ours, theirs = mean([measures_of(line)[name] for line in lines]), report.metrics.get(name)
            if not math.isnan(ours) and (theirs is None or abs(theirs - ours) > HARNESSES[self.name].rounding):
                return f"{title} says that “{name}” is {theirs}, and its {len(lines)} answers have {ours:.6g}."
        return ""

    def _request(self, questions: list[str], max_new_tokens: int, **more: Any) -> AskOf:
        harness = HARNESSES[self.name]
        if not harness.takes_conversations and any(not isinstance(one.prompt, str) for one in self._of(questions)):
            raise HarnessFailed(
                f"{harness.title} asks one turn, and this benchmark has conversations.", "Choose another harness, or none."
            )
        return partial(
            Request, benchmark=self.benchmark.path.resolve(), questions=questions, max_new_tokens=max_new_tokens, **more
        )

    def _of(self, ids: Sequence[str]) -> list[Question]:
        wanted = set(ids)
        return [one for one in self.benchmark.questions if one.id in wanted]

    def _run(self, place: Path, request: AskOf, stop: StopRequest, look: Callable[[], None]) -> None:
        """Serve the model, run the driver, and `look` at what it has written meanwhile."""
        harness = HARNESSES[self.name]
        place.mkdir(parents=True, exist_ok=True)
        python = python_of(harness, self.tell)
        with self._served(place) as served:
            told = request(
                base_url=served.base_url, model=served.model, at_once=min(served.at_once, MOST_AT_ONCE),
                timeout_s=served.timeout_s, tokenizer=served.tokenizer, longest=served.longest,
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
        """Whom the harness asks: an address of this machine, with a key that is made for it."""
        key = secrets.token_urlsafe(24)
        if self.service is not None:
            # openai's client takes a second to import, torch and transformers several: only where something is to be asked
            from accounts.chat.client import ChatClient  # noqa: PLC0415 (weight)
            from evaluation.harnesses.forwarding import forwarding, patience_s  # noqa: PLC0415 (weight)

            service = self.service
            with forwarding(ChatClient(service, usage=self.used), key=key) as address:
                yield Served(address, service.model, key, service.at_once, patience_s(service))
            return
        from evaluation.serving.engine import Engine  # noqa: PLC0415 (weight)
        from evaluation.serving.service import serving  # noqa: PLC0415 (weight)

        self.unload()
        engine = Engine("local", self.path, hardware=self.hardware, prompt_format=self.prompt_format, batch_size=self.batch_size)
        engine.tokenizer.save_pretrained(place / "tokenizer")
        with serving([engine], key=key) as address:
            yield Served(address, "local", key, self.batch_size, 600.0, place / "tokenizer", engine.longest)


def _follow(child: subprocess.Popen[bytes], stop: StopRequest, look: Callable[[], None]) -> None:
    """Look at what it writes until it ends. Raises Stopped: also where the signal that asks to stop has ended it already."""
    stop.defer()
    while child.poll() is None and not stop.asked:
        look()
        time.sleep(LOOK_EVERY_S)
    look()
    if stop.asked:
        raise Stopped


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
    """What the driver knows: this much of ours by name, no hub, no card, and the one key that was made for it.

    The worker's own keys and tokens stay here: a harness is a hundred packages of other people's.
    """
    offline = os.environ.get("HF_HUB_OFFLINE", "1")
    passed = PASSED if offline == "1" else PASSED | PASSED_ONLINE
    kept = {name: value for name, value in os.environ.items() if name in passed or name.startswith("LC_")}
    return kept | {
        "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OPENAI_API_KEY": key,
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
