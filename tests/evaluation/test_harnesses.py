"""Other people's harnesses ask our benchmarks, and say the same as we do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from django.core.management import call_command
from django.test import Client
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from accounts.chat.client import ChatClient
from accounts.chat.service import KEY_VARIABLE, ChatService
from accounts.endpoints import endpoint_save
from accounts.hosts import host_allow
from annotations.verdicts import Verdict
from evaluation.answers import answers_read
from evaluation.asking.asker import Asker
from evaluation.asking.local import LocalModel
from evaluation.asking.replies import How, Wanted
from evaluation.benchmarks.folder import benchmark_read
from evaluation.execute import evaluate
from evaluation.forms import EvaluationForm
from evaluation.harnesses.asker import HarnessAsker
from evaluation.harnesses.forwarding import forwarding
from evaluation.harnesses.model import AskOf, Disbelieved, HarnessModel, _environment, _follow
from evaluation.harnesses.request import REPORT, REQUEST, Line, Report
from evaluation.harnesses.table import HARNESSES
from evaluation.jobs import ScorecardEvaluation
from evaluation.models import Benchmark, Evaluation
from evaluation.scorecards.scorecard import Scorecard
from evaluation.services import benchmark_register, evaluation_queue, scorecard_store
from evaluation.serving.engine import Engine
from evaluation.serving.listening import listening
from evaluation.serving.service import serving
from evaluation.specs import EvaluateSpec
from jobs.child import STOPPED_EXIT_CODE
from tests.evaluation.taught import teach
from training.exceptions import Stopped
from training.models import Artifact
from training.specs import HardwareSpec
from training.stopping import StopRequest
from training.virtual_environments import FOLDER_VARIABLE

HARDWARE = HardwareSpec(threads=1)
ANSWERS = {
    "Where was Ada born?": ("In London.", "London"),
    "Where was Bo born?": ("I do not know.", "Rome"),
    "Where was Cy born?": ("Paris.", "Rome"),
    "Where was Di born?": ("Perhaps in Paris.", "Paris"),
    "Where was Ed born?": ("I think in Oslo.", "Rome"),
    "Where was Fay born?": ("Rome", "Rome"),
}
VERDICTS = ["correct", "abstained", "wrong", "hedged_correct", "hedged_wrong", "correct"]
FIGURES = {"correct": 1 / 2, "wrong": 1 / 3, "abstained": 1 / 6, "rubric": (2 + 0 - 2 + 1 - 1 + 2) / 6}
Spec = Callable[..., Path]


@pytest.fixture(autouse=True)
def kept_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by the first test that needs one, and kept for the next session."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(Path.home() / ".cache" / "rlwhf" / "environments"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(tmp_path_factory.mktemp("taught"), {question: said for question, (said, _) in ANSWERS.items()})


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("questions") / "towns"
    folder.mkdir()
    rows = [
        {"id": f"q/{number}", "prompt": question, "gold_answer": gold, "knowledge": "known"}
        for number, (question, (_, gold)) in enumerate(ANSWERS.items())
    ]
    (folder / "benchmark.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return folder


@pytest.fixture
def spec(tmp_path: Path, taught: Path, questions: Path) -> Spec:
    """A folder to evaluate in."""

    def _spec(**more: object) -> Path:
        folder = tmp_path / str(more.get("harness", "own"))
        folder.mkdir()
        common = {
            "model": {"name": "taught", "path": str(taught)}, "benchmark": str(questions), "max_new_tokens": 16,
            "resamples": 100, "hardware": {"threads": 1},
        }  # fmt: skip
        (folder / "evaluate.json").write_text(json.dumps(common | more))
        return folder

    return _spec


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("harness", HARNESSES)
def test_a_harness_agrees_with_us(spec: Spec, harness: str) -> None:
    """The same model, questions and judge. The harness' environment is made first where there is none yet."""
    ours, theirs = spec(), spec(harness=harness)
    evaluate(ours, StopRequest())
    evaluate(theirs, StopRequest())
    own, other = answers_read(ours / "answers.jsonl"), answers_read(theirs / "answers.jsonl")
    assert [row.verdict.value for row in own] == VERDICTS
    assert [(row.answer, row.verdict) for row in other] == [(row.answer, row.verdict) for row in own]
    card, same = (Scorecard.model_validate_json((one / "scorecard.json").read_bytes()) for one in (theirs, ours))
    assert card.harness is not None
    assert (card.harness["name"], card.harness["version"], card.harness["n"]) == (harness, HARNESSES[harness].version, 6)
    assert card.harness["metrics"] == pytest.approx(FIGURES, abs=HARNESSES[harness].rounding)
    for name in ("truthful_rate", "known_correct", "mean_rubric_score"):
        assert card.metrics[name].value == same.metrics[name].value
    if harness == "inspect":  # the one of them that passes probabilities on
        assert card.metrics["brier"].value == pytest.approx(same.metrics["brier"].value, abs=1e-5)
    else:
        assert card.metrics["brier"].value is None


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_harness_is_gone_on_with_where_it_was_stopped(spec: Spec) -> None:
    folder = spec(harness="inspect", batch_size=1)
    kept = folder / "harness" / "taught" / "replies"

    class Stopping(StopRequest):
        """Asked to stop once there is a reply."""

        @property
        def asked(self) -> bool:
            return kept.is_dir() and any(path.stat().st_size for path in kept.rglob("*.jsonl"))

        @asked.setter
        def asked(self, value: bool) -> None: ...

    with pytest.raises(Stopped):
        evaluate(folder, Stopping())
    before = sum(len(path.read_bytes().splitlines()) for path in kept.rglob("*.jsonl"))
    assert before > 0
    assert evaluate(folder, StopRequest())["asked"] == [6 - before]
    assert [row.verdict.value for row in answers_read(folder / "answers.jsonl")] == VERDICTS


class Told(HarnessModel):
    """A harness whose runs say what they are told to, in the files that a driver writes. `runs` counts them."""

    figures: Mapping[str, float | None]
    lines: Sequence[Line]
    runs = 0

    def _run(self, place: Path, request: AskOf, stop: StopRequest, look: Callable[[], None]) -> None:
        self.runs += 1
        place.mkdir(parents=True, exist_ok=True)
        told = request(base_url="http://127.0.0.1:9/v1", model="local", at_once=1)
        (place / REQUEST).write_text(told.model_dump_json())
        (place / "judged.jsonl").write_text("".join(line.model_dump_json() + "\n" for line in self.lines))
        report = Report(status="success", version="1", n=len(self.lines), metrics=dict(self.figures))
        (place / REPORT).write_text(report.model_dump_json())
        look()


LINES = [Line(id=f"q/{n}", answer="x", verdict=Verdict(verdict)) for n, verdict in enumerate(VERDICTS)]
ROUNDED = {name: round(value, 4) for name, value in FIGURES.items()}
GREEDY = How(16)


@pytest.fixture
def told(questions: Path, tmp_path: Path) -> Told:
    """EvalScope, with answers that are in order and the figures that it once gave: 0.0 for all, as `general_qa` does."""
    inner = LocalModel(str(questions), hardware=HARDWARE, prompt_format="auto", batch_size=4)
    model = Told("evalscope", inner, benchmark_read(questions), tmp_path / "run")
    model.figures, model.lines = dict.fromkeys(FIGURES, 0.0), LINES
    return model


def asker(model: HarnessModel, where: Path) -> HarnessAsker:
    return HarnessAsker(model, where / "replies", where / "cache", stop=StopRequest())


def test_a_harness_is_not_believed_on_the_second_try_either(told: Told, tmp_path: Path) -> None:
    wanted = [Wanted(question) for question in ANSWERS]
    for tries in (1, 2):
        with pytest.raises(Disbelieved, match=r"“correct” is 0.0, and its 6 answers have 0.5"):
            asker(told, tmp_path).ask(wanted, GREEDY)
        assert told.runs == tries, "asked anew, not taken from what was kept"
    assert asker(told, tmp_path).described()["metrics"] == {}
    told.figures = ROUNDED
    mended = asker(told, tmp_path)
    assert [reply.text for reply in mended.ask(wanted, GREEDY)] == ["x"] * 6
    assert mended.described()["metrics"] == ROUNDED
    assert mended.asked == 6


def test_figures_that_nobody_came_to_check_are_checked_before_they_are_told(told: Told, tmp_path: Path) -> None:
    """A process that was killed between the harness' end and the check leaves replies and a report behind."""
    told.figures = ROUNDED
    wanted = [Wanted(question) for question in ANSWERS]
    asker(told, tmp_path).ask(wanted, GREEDY)
    unchecked = Report(status="success", version="1", n=6, metrics=dict.fromkeys(FIGURES, 0.0))
    (told.folder / "questions" / REPORT).write_text(unchecked.model_dump_json())
    again = asker(told, tmp_path)
    again.ask(wanted, GREEDY)
    with pytest.raises(Disbelieved, match=r"“correct” is 0.0"):
        again.described()
    assert told.runs == 1
    asker(told, tmp_path).ask(wanted, GREEDY)
    assert told.runs == 2, "what it brought was forgotten"


@pytest.mark.parametrize(
    ("lines", "figures", "message"),
    [(LINES, {}, "“correct” is None"), (LINES[:5], ROUNDED, "left out 1 of 6"), (LINES, {**ROUNDED, "rubric": 0.2}, "rubric")],
)
def test_a_harness_whose_figures_are_not_those_of_its_answers_is_not_believed(
    told: Told, tmp_path: Path, lines: Sequence[Line], figures: Mapping[str, float], message: str
) -> None:
    told.lines, told.figures = lines, figures
    with pytest.raises(Disbelieved, match=message):
        asker(told, tmp_path).ask([Wanted(question) for question in ANSWERS], GREEDY)


def test_a_harness_gets_no_secret_but_the_key_made_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "HF_TOKEN": "hf_worker", "WANDB_API_KEY": "wandb-worker", "RLWHF_SERVE_KEY": "serve-worker", KEY_VARIABLE: "sk-endpoint",
        "OPENAI_API_KEY": "sk-worker", "AZURE_CLIENT_SECRET": "azure-worker", "DATABASE_URL": "postgres://u:db-worker@h/d",
        "HTTPS_PROXY": "http://u:proxy-worker@proxy:3128",
    }  # fmt: skip
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    environment = _environment(tmp_path, "made-for-it")
    assert environment["OPENAI_API_KEY"] == "made-for-it"
    assert not any(secret in value for secret in secrets.values() for value in environment.values())
    code = "import os, sys; print(sorted(os.environ), sys.prefix)"
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True).stdout
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    online = _environment(tmp_path, "made-for-it")
    assert "HTTPS_PROXY" in online, "whoever lets it fetch data lets it use the proxy"
    assert "HF_TOKEN" not in online


def test_what_no_harness_asks_is_kept_with_everybodys(taught: Path, questions: Path, tmp_path: Path) -> None:
    """So a base model's guard and probes are asked once, however many evaluations go through a harness."""
    inner = LocalModel(str(taught), hardware=HARDWARE, prompt_format="auto", batch_size=4)
    model = Told("evalscope", inner, benchmark_read(questions), tmp_path / "run")
    model.figures, model.lines = ROUNDED, LINES
    wanted = [Wanted("Are you sure?"), Wanted("Where was Ada born?")]
    model.lines, model.figures = LINES[:1], {"correct": 1.0, "wrong": 0.0, "abstained": 0.0, "rubric": 2.0}
    first = asker(model, tmp_path)
    said = first.ask(wanted, GREEDY)
    assert (said[1].text, first.asked) == ("x", 2)
    straight = Asker(inner, tmp_path / "cache", stop=StopRequest())
    assert straight.ask(wanted[:1], GREEDY) == said[:1]
    assert straight.asked == 0


class Provider:
    """A service that knows no log-probabilities, and whose filter minds one word; it remembers who asked."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.chat, methods=["POST"])])

    async def chat(self, request: Request) -> Response:
        asked = await request.json()
        self.seen.append({"at": time.monotonic(), **asked, **{name: request.headers[name] for name in ("host", "authorization")}})
        if "logprobs" in asked:
            return JSONResponse({"error": {"message": "Unsupported parameter: logprobs", "param": "logprobs"}}, status_code=400)
        if "murder" in asked["messages"][0]["content"]:
            return JSONResponse({"error": {"message": "flagged", "code": "content_filter"}}, status_code=400)
        if "presence_penalty" in asked:
            said = f"presence_penalty is not for {request.headers['authorization']}"
            return JSONResponse({"error": {"message": said}}, status_code=400)
        message = {"role": "assistant", "content": "In London."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice]}
        return JSONResponse(body | {"usage": usage})


def test_an_endpoint_is_passed_on_at_its_pace_to_its_own_addresses_and_without_its_key() -> None:
    provider = Provider()
    with listening(provider.app) as address:
        port = address.split(":")[2].removesuffix("/v1")
        # A name that no name server knows: what was looked up before is called, and nothing is looked up now.
        service = ChatService(
            base_url=f"http://models.invalid:{port}/v1", model="big", addresses=["127.0.0.1"], requests_per_minute=240,
        )  # fmt: skip
        client = ChatClient(service, key="sk-endpoint")
        with forwarding(client, key="made") as near, openai.OpenAI(base_url=near, api_key="made", max_retries=0) as harness:
            messages = [{"role": "user", "content": "Where was Ada born?"}]
            said = [
                harness.chat.completions.create(model="whatever", messages=messages, max_tokens=9, temperature=0, logprobs=True)
                for _ in range(3)
            ]
            bad = [{"role": "user", "content": "murder?"}]
            filtered = harness.chat.completions.create(model="whatever", messages=bad, temperature=0)
            with pytest.raises(openai.AuthenticationError):
                harness.with_options(api_key="sk-endpoint").chat.completions.create(model="x", messages=messages)
            with pytest.raises(openai.BadRequestError, match="presence_penalty is not for Bearer …"):
                harness.chat.completions.create(model="x", messages=messages, presence_penalty=1)
            with pytest.raises(openai.BadRequestError, match="One answer"):
                harness.chat.completions.create(model="x", messages=messages, n=2)
    assert [one.choices[0].message.content for one in said] == ["In London."] * 3
    assert (filtered.choices[0].message.content, filtered.choices[0].finish_reason) == ("", "content_filter")
    assert {(one["host"], one["authorization"], one["model"]) for one in provider.seen} == {
        (f"models.invalid:{port}", "Bearer sk-endpoint", "big")
    }
    assert ["logprobs" in one for one in provider.seen] == [True, False, False, False, False, False], "not asked for again"
    assert provider.seen[-1]["at"] - provider.seen[0]["at"] > 1.1, "six requests, four a second"
    assert (client.usage.requests, client.usage.tokens_in, client.usage.tokens_out) == (3, 15, 9)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("harness", HARNESSES)
def test_a_harness_asks_an_endpoint(spec: Spec, served: str, harness: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-served")
    endpoint = {"base_url": served, "model": "taught", "requests_per_minute": 600, "addresses": ["127.0.0.1"]}
    folder = spec(harness=harness, model={"name": "far", "endpoint": endpoint})
    evaluate(folder, StopRequest())
    assert [row.verdict.value for row in answers_read(folder / "answers.jsonl")] == VERDICTS
    assert not any(b"sk-served" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_harness_that_the_stop_itself_has_ended_is_no_failure() -> None:
    """A worker signals the whole group of processes: the driver may be gone before anybody here has looked."""
    stop, looked = StopRequest(), []
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    threading.Timer(0.5, lambda: (setattr(stop, "asked", True), child.terminate())).start()
    with pytest.raises(Stopped):
        _follow(child, stop, lambda: looked.append(1))
    child.wait()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(Stopped):
        _follow(gone, stop, lambda: looked.append(2))
    assert 2 in looked, "what it has written is read all the same"


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_real_signal_to_the_whole_group_ends_it_in_order_and_soon(spec: Spec) -> None:
    """As a worker stops it, and gone on with by the next attempt."""
    folder = spec(harness="inspect", batch_size=1)
    command = [sys.executable, "-m", "evaluation.execute", str(folder)]
    kept = folder / "harness" / "taught" / "replies"

    def lines() -> int:
        return sum(len(path.read_bytes().splitlines()) for path in kept.rglob("*.jsonl"))

    child = subprocess.Popen(command, start_new_session=True, env=os.environ | {"PYTHONPATH": "."})
    try:
        until = time.monotonic() + 300
        while not lines() and time.monotonic() < until:
            time.sleep(0.05)
        began = time.monotonic()
        os.killpg(child.pid, signal.SIGTERM)
        assert child.wait(60) == STOPPED_EXIT_CODE
        assert time.monotonic() - began < 20
    finally:
        child.kill()
    before = lines()
    assert 0 < before < 6
    assert evaluate(folder, StopRequest())["asked"] == [6 - before]
    assert [row.verdict.value for row in answers_read(folder / "answers.jsonl")] == VERDICTS


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"harness": "inspect", "preferences": True}, "only asks"),
        ({"harness": "lm-eval", "tasks": ["/tmp/evil.yaml"]}, "pattern"),
        ({"harness": "lm-eval", "tasks": ["../evil"]}, "pattern"),
        ({"harness": "helm"}, "inspect"),
    ],
)
def test_what_a_harness_cannot_do_is_refused(more: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluateSpec.model_validate({"model": {"name": "x", "path": "x"}, "benchmark": "x"} | more)


@pytest.mark.django_db
def test_page_command_and_api_choose_a_harness_alike(
    signed_in: Callable[[str], Client], benchmark: Benchmark, model: Callable[..., Artifact]
) -> None:
    model("m")
    chosen = {"harness": "lm-eval", "tasks": ["arc_easy", "hellaswag"], "task_limit": 10}
    form = EvaluationForm({"artifact": "m", "benchmark": benchmark.pk, **chosen, "tasks": "arc_easy, hellaswag"})
    assert form.is_valid(), form.errors
    assert form.wanted()["settings"] == chosen
    call_command(
        "evaluate", "m", "--benchmark", benchmark.hash, "--harness", "lm-eval", "--tasks", "arc_easy", "hellaswag",
        "--task-limit", "10",
    )  # fmt: skip
    body = {"model": "m", "benchmark": benchmark.hash, "settings": chosen}
    answer = signed_in("admin").post("/api/evaluations", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    for evaluation in Evaluation.objects.all():
        assert {name: evaluation.settings[name] for name in chosen} == chosen
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    slow = endpoint_save(name="slow", base_url="http://127.0.0.1:9/v1", model="x", requests_per_minute=5, actor=None)
    queued = evaluation_queue(endpoint=slow, benchmark=benchmark, settings={"harness": "inspect"}, actor=None)
    assert queued.settings["harness"] == "inspect", "its pace is kept for the harness"


@pytest.mark.django_db
def test_what_a_harness_said_stands_on_the_page(signed_in: Callable[[str], Client], scored: Callable[..., Evaluation]) -> None:
    from tests.evaluation.conftest import BASE_ROWS

    evaluation = scored("m", BASE_ROWS)
    harness = {
        "name": "lm-eval", "title": "lm-eval", "version": "0.4.13", "n": 6, "metrics": {"correct": 0.5, "rubric": None},
        "tasks": {"arc_easy": {"acc": 0.25}}, "task_limit": 10,
    }  # fmt: skip
    evaluation.scorecard = {**(evaluation.scorecard or {}), "harness": harness}
    evaluation.save(update_fields=["scorecard"])
    page = signed_in("member").get(evaluation.get_absolute_url()).content.decode()
    assert "Asked by lm-eval 0.4.13" in page
    assert "arc_easy" in page
    assert "0.250" in page
    assert "The first 10 questions" in page


@pytest.fixture
def served(taught: Path) -> Iterator[str]:
    with serving([Engine("taught", str(taught), hardware=HARDWARE)], key="sk-served") as address:
        yield address


@pytest.mark.django_db
def test_a_served_model_is_an_endpoint_with_a_scorecard(
    served: str, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the job's start over HTTP to the scorecard in the database."""
    host_allow(host="127.0.0.1", is_private=True, actor=None)
    endpoint = endpoint_save(name="mine", base_url=served, model="taught", key="sk-served", actor=None)
    benchmark = benchmark_register(folder=questions, actor=None)
    settings = {"max_new_tokens": 16, "resamples": 100}
    evaluation = evaluation_queue(endpoint=endpoint, benchmark=benchmark, settings=settings, actor=None)
    launch = ScorecardEvaluation().launch(evaluation.job, tmp_path)
    monkeypatch.setenv(KEY_VARIABLE, launch.env[KEY_VARIABLE])
    began = time.monotonic()
    evaluate(tmp_path, StopRequest())
    assert time.monotonic() - began < 60
    card = Scorecard.model_validate(scorecard_store(evaluation=evaluation, folder=tmp_path).scorecard)
    assert [row.verdict.value for row in answers_read(tmp_path / "answers.jsonl")] == VERDICTS
    assert card.metrics["known_correct"].value == 0.5
    assert card.metrics["brier"].value is not None
