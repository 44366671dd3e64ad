"""The whole way from prompts to rows: judged over HTTP, cut off and carried on; and by a tiny model that judges itself."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.chat import client as chat_client
from tests.chat_server import ChatServer, serving
from tests.training.atlas_runs import child, read_rows, write_rows
from training.data import read_rows as rows_for
from training.exceptions import BadSpec, Stopped, TeacherGone
from training.self_reward.run import judged_in, self_reward
from training.self_reward.spec import SelfRewardSpec
from training.specs import ScratchModel
from training.stopping import StopRequest
from training.trainers import METHODS

KEY = "sk-the-judges"
SETS = {"dpo_training.jsonl": "dpo", "grpo_training.jsonl": "offline-grpo", "gspo_training.jsonl": "offline-gspo"}


def by_number(messages: list[dict[str, str]]) -> str:
    found = re.search(r"Answer: .*?(\d)", messages[0]["content"])
    return f"So so.\nScore: {found[1]}" if found else "Lovely."


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    monkeypatch.setenv("RLWHF_ENDPOINT_KEY", KEY)
    for name in ("HF_HUB_DISABLE_TELEMETRY", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")  # which the work sets: so that they are as before afterwards
    return ChatServer(by_number)


@pytest.fixture
def url(server):
    with serving(server) as url:
        yield url


@pytest.fixture
def folder(tmp_path, url, monkeypatch) -> Path:
    """Five prompts that were answered three times each, as the generation leaves them."""
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "prompts.jsonl", [{"id": f"q{n}", "prompt": f"How many is {n}?", "gold_answer": "7"} for n in range(5)])
    asked(tmp_path, url)
    answers = [
        {"id": f"q{n}", "sample": sample, "answer": f"It is {(n + 2 * sample) % 7}, no {sample}", "confidence": 0.5}
        for n in (3, 1, 0, 2, 4)
        for sample in range(3)
    ]
    answers[0] |= {"ended": False}
    answers[1] |= {"answer": "none"}
    write_rows(tmp_path / "generated" / "answers.jsonl", answers)
    (tmp_path / "generated" / "result.json").write_text("{}")
    return tmp_path


def asked(folder: Path, url: str, **more: Any) -> None:
    judge = {"service": {"base_url": url, "model": "judge-7b", "at_once": 1, "price_in": 1.0}, **more.pop("judge", {})}
    values = {"model": "tiny", "prompts": "prompts.jsonl", "samples": 3, "judge": judge, **more}
    (folder / "self_reward.json").write_text(json.dumps(values))


def test_answers_are_judged_over_http_and_become_rows_that_the_methods_read(folder, server):
    report = self_reward(folder, StopRequest())
    raw = read_rows(folder / "raw_responses.jsonl")
    assert [(row["id"], row["sample"]) for row in raw] == [(f"q{n}", sample) for n in range(5) for sample in range(3)]
    assert (raw[0]["prompt"], raw[0]["score"], raw[0]["critique"]) == ("How many is 0?", -2.0, "So so.\nScore: 0")
    for name, method in SETS.items():
        assert rows_for(folder / name, METHODS[method].columns)
    assert report == json.loads((folder / "report.json").read_text())
    assert (report["prompts"], report["answers"], report["scored"]) == (5, 15, 11)
    assert report["dropped"]["answers"] == {"cut off": 1, "malformed verdict": 3}, "a 6, twice, and none"
    assert report["rows"]["grpo"] == sum(report["scores"].values()) == 11
    assert sum(report["dropped"]["prompts"].values()) + report["rows"]["dpo"] == 5
    assert report["judge"]["used"]["requests"] == len(server.requests) == 11 + 2 * 3
    assert report["judge"]["used"]["cost"] > 0
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert all(KEY not in path.read_text() for path in folder.rglob("*") if path.is_file())
    assert not list(folder.glob("*.part")), "nothing half-done is left"


def test_a_judge_that_goes_away_costs_nothing_that_it_has_said(folder, server):
    server.refuse = lambda request: (503, "down", {}) if len(server.requests) >= 6 else None
    with pytest.raises(TeacherGone, match="The judge is away"):
        self_reward(folder, StopRequest())
    assert not (folder / "raw_responses.jsonl").exists() and not (folder / "dpo_training.jsonl").exists()
    with (folder / "raw_responses.jsonl.part").open("a") as file:
        file.write('{"id": "q4", "sam')  # of a process that was killed
    server.refuse = lambda request: None
    report = self_reward(folder, StopRequest())
    assert (report["scored"], len(server.requests)) == (11, 17), "as many questions as in one go"
    before = {name: (folder / name).read_bytes() for name in (*SETS, "raw_responses.jsonl")}
    assert self_reward(folder, StopRequest())["rows"] == report["rows"] and len(server.requests) == 17
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_a_judge_asks_no_more_than_it_may_and_goes_on_where_that_is_raised(folder, server, url):
    asked(folder, url, judge={"max_calls": 5})
    with pytest.raises(TeacherGone, match="used up: 5 requests"):
        self_reward(folder, StopRequest())
    with pytest.raises(TeacherGone, match="used up: 5 requests"):
        self_reward(folder, StopRequest())
    assert len(server.requests) == 5, "what earlier attempts used counts"
    asked(folder, url, judge={"max_calls": 40})
    assert self_reward(folder, StopRequest())["scored"] == 11


def test_answers_that_were_given_before_are_judged_and_no_model_is_asked(folder, server, url):
    (folder / "generated" / "answers.jsonl").rename(folder / "given.jsonl")
    (folder / "generated" / "result.json").unlink()
    asked(folder, url, answers="given.jsonl")
    assert self_reward(folder, StopRequest())["scored"] == 11
    verdicts = judged_in(folder, prompts=folder / "prompts.jsonl")
    assert len(verdicts) == 15 and verdicts[0].score == -2.0
    with pytest.raises(BadSpec, match="There is no"):
        judged_in(folder / "generated", prompts=folder / "prompts.jsonl")


def test_asked_to_stop_it_stops_and_the_next_attempt_goes_on(folder, server):
    stop = StopRequest()

    def until_the_fourth(messages: list[dict[str, str]]) -> str:
        stop.asked = len(server.requests) >= 4
        return by_number(messages)

    server.say = until_the_fourth
    with pytest.raises(Stopped):
        self_reward(folder, stop)
    assert 4 <= len(server.requests) < 17 and not (folder / "report.json").exists()
    server.say = by_number
    assert self_reward(folder, StopRequest())["scored"] == 11 and len(server.requests) == 17


def test_rows_are_drawn_anew_without_asking_and_other_verdicts_take_another_folder(folder, server, url):
    pairs = self_reward(folder, StopRequest())["rows"]["dpo"]
    asked(folder, url, min_gap=4.0, weights_temperature=0.1)
    assert self_reward(folder, StopRequest())["rows"]["dpo"] < pairs and len(server.requests) == 17
    asked(folder, url, judge={"uses_reference": True})
    with pytest.raises(BadSpec, match="another specification"):
        self_reward(folder, StopRequest())


def test_what_cannot_work_is_refused_with_its_field(folder, url):
    for change, why in (
        ({"judge": {"prompt": "nothing"}}, "no prompt “nothing”"),
        ({"judge": {"prompt": "honesty-pairwise-1"}}, "gives no scores"),
        ({"judge": {"key_variable": "HF_TOKEN"}}, "key_variable"),
        ({"judge": {"model": "another"}}, "a service or a model"),
        ({"samples": 1}, "samples"),
        ({"sample": 4}, "sample: Extra inputs"),
    ):
        asked(folder, url, **change)
        with pytest.raises(BadSpec, match=why):
            self_reward(folder, StopRequest())
    write_rows(folder / "prompts.jsonl", [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}])
    asked(folder, url)
    with pytest.raises(BadSpec, match="the same id"):
        self_reward(folder, StopRequest())


def test_the_command_writes_the_specification_and_becomes_the_work(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("os.execv", lambda program, arguments: started.append(arguments))
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Who?"}\n')
    given = {"prompts": tmp_path / "prompts.jsonl", "model": "tiny", "judge_url": "http://127.0.0.1:9/v1/", "judge_model": "m"}
    call_command("self_reward", str(tmp_path / "out"), **given, samples=6, reference=True)
    assert started == [[sys.executable, "-m", "training.self_reward", str(tmp_path / "out")]]
    spec = SelfRewardSpec.model_validate_json((tmp_path / "out" / "self_reward.json").read_bytes())
    assert (spec.samples, spec.judge.uses_reference, spec.judge.prompt.name) == (6, True, "score-0-5")
    assert spec.judge.service is not None and spec.judge.service.base_url == "http://127.0.0.1:9/v1"
    for wrong, why in (({"model": "tiny"}, "both --model and --prompts"), ({}, "There is no")):
        with pytest.raises(CommandError, match=why):
            call_command("self_reward", str(tmp_path / "empty"), **wrong)


@pytest.mark.full
def test_a_tiny_model_answers_and_judges_itself(tmp_path):
    from training.scratch import make_model, make_tokenizer  # torch takes a second to import

    rows = [{"id": str(n), "prompt": f"How many is {n}?"} for n in range(6)]
    write_rows(tmp_path / "run" / "prompts.jsonl", rows)
    scratch = ScratchModel(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=1024
    )
    tokenizer = make_tokenizer([row["prompt"] for row in rows] + ["Score: 3", "Score: 5"], scratch)
    make_model(tokenizer, scratch).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    values = {"model": str(tmp_path / "tiny"), "prompts": "prompts.jsonl", "samples": 3, "max_new_tokens": 6}
    (tmp_path / "run" / "self_reward.json").write_text(json.dumps({**values, "judge": {"max_tokens": 8}}))
    done = child("training.self_reward", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["answers"], report["judge"]["who"]) == (18, "the model itself")
    assert sum(report["dropped"]["answers"].values()) + report["rows"]["grpo"] == 18
    raw = read_rows(tmp_path / "run" / "raw_responses.jsonl")
    assert all(row["score"] is not None or row["reason"] for row in raw), "a score, or why there is none"
    cut = [row for row in raw if not row.get("ended", True)]
    assert len(cut) == report["dropped"]["answers"].get("cut off", 0) > 0, "six tokens are few for a model that knows no end"
