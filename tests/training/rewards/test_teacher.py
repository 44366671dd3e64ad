"""An AI teacher as a reward, asked over HTTP: kept verdicts, budgets, outages, replies that cannot be read; and a run of GRPO."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from accounts.chat import client as chat_client
from accounts.chat.service import Ledger
from annotations.rubric import load_rubric
from annotations.teachers.prompts import load_prompt
from tests.chat_server import ChatServer, serving
from tests.evaluation.taught import teach
from tests.training.atlas_runs import ROOT, child, read_rows
from training.backends import trl
from training.exceptions import BadSpec, TeacherGone
from training.rewards import read_part, teacher
from training.rewards.base import Batch, RewardContext, Rewarded
from training.rewards.teacher import TeacherPart, TeacherReward, build
from training.specs import RunSpec, read_spec, write_spec

KEY = "sk-not-for-files"


def said(messages: list[dict[str, str]]) -> str:
    """The answer that is to be judged."""
    return re.search(r"Answer: (.*)", messages[0]["content"])[1]


def by_sight(messages: list[dict[str, str]]) -> str:
    return "Score: 5" if "Rorin" in said(messages) else "No score from me" if "mumble" in said(messages) else "Score: 0"


def asks(url: str, **more: Any) -> dict[str, Any]:
    service = {"base_url": url, "model": "judge-7b", **more.pop("service", {})}
    prompt = load_prompt("score-0-5-1").model_dump(mode="json")
    return {"service": service, "prompt": prompt, "rubric": load_rubric().model_dump(mode="json"), **more}


def part(url: str, **more: Any) -> TeacherPart:
    found = read_part({"kind": "teacher", "teacher": "judge", "version": 1, "asks": asks(url, **more.pop("asks", {})), **more})
    assert isinstance(found, TeacherPart)
    return found


def reward(url: str, folder: Path, **more: Any) -> TeacherReward:
    return build(part(url, **more), RewardContext(ends=frozenset({0}), folder=folder))


def batch(*answers: str, cut: tuple[int, ...] = ()) -> Batch:
    ids = [[5] if number in cut else [5, 0] for number in range(len(answers))]
    prompts = [[{"role": "user", "content": "Where does person 1 live?"}]] * len(answers)
    return Batch(prompts, answers, ids, {"gold_answer": [["Rorin"]] * len(answers)})


def sources(found: Rewarded) -> list[str]:
    return list(found.details["teacher_source"])


@pytest.fixture
def server() -> ChatServer:
    return ChatServer(by_sight)


@pytest.fixture
def url(server, monkeypatch):
    monkeypatch.setattr(chat_client, "FIRST_WAIT_S", 0.001)
    with serving(server) as url:
        yield url


def test_each_answer_is_asked_about_once_and_never_again(server, url, tmp_path, monkeypatch):
    monkeypatch.setenv("RLWHF_ENDPOINT_KEY", KEY)
    shared = {"cache": str(tmp_path / "cache"), "service": {"price_in": 1.0, "price_out": 2.0}}
    first = reward(url, tmp_path / "one", asks=shared)
    found = first(batch("Rorin.", "Basu.", "Rorin."))
    assert (found.values, sources(found)) == ([2.0, -2.0, 2.0], ["asked"] * 3)
    assert len(server.requests) == 2, "the same answer twice is one question"
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert found.figures["teacher/calls"] == 2 and found.figures["teacher/score"] == pytest.approx(2 / 3)
    tokens_in, tokens_out = found.figures["teacher/tokens_in_so_far"], found.figures["teacher/tokens_out_so_far"]
    assert tokens_out == 4 and tokens_in > 50
    assert found.figures["teacher/cost_so_far"] == pytest.approx((tokens_in + 2 * tokens_out) / 1e6)
    again = reward(url, tmp_path / "other", asks=shared)(batch("Rorin.", "Rorin, surely."))
    assert (again.values, sources(again)) == ([2.0, 2.0], ["kept", "asked"])
    assert again.figures["teacher/kept"] == 0.5 and len(server.requests) == 3
    other_model = {**shared, "service": {"model": "judge-70b"}}
    assert sources(reward(url, tmp_path / "third", asks=other_model)(batch("Rorin."))) == ["asked"], "another judge's word"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and all(KEY not in path.read_text() for path in written)


def test_a_damaged_line_of_what_is_kept_counts_for_nothing(server, url, tmp_path):
    reward(url, tmp_path)(batch("Rorin.", "Basu."))
    kept = next(path for path in (tmp_path / "teachers").iterdir() if ".used" not in path.name)
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    kept.write_text(
        json.dumps({**lines[0], "score": 7}) + "\n{half" + "\n" + json.dumps(lines[1]) + "\n" + '{"subject": "x", "sco'
    )
    found = reward(url, tmp_path)(batch("Rorin.", "Basu."))
    assert sorted(sources(found)) == ["asked", "kept"] and found.values == [2.0, -2.0]


def test_what_cannot_be_read_is_left_out_and_what_was_cut_off_is_not_asked_about(server, url, tmp_path):
    pays = reward(url, tmp_path)
    found = pays(batch("mumble", "Rorin.", "Rorin, who", cut=(2,)))
    assert (found.values, sources(found)) == ([None, 2.0, -2.0], ["malformed", "asked", "cut off"])
    assert found.figures["teacher/malformed"] == pytest.approx(1 / 3)
    assert len(server.requests) == 3, "a malformed reply is asked for once more"
    assert pays(batch("mumble")).values == [None] and len(server.requests) == 3
    assert reward(url, tmp_path)(batch("mumble")).values == [None] and len(server.requests) == 5, "it was not kept"


def test_a_teacher_that_says_nothing_readable_at_all_is_as_good_as_away(server, url, tmp_path):
    server.say = lambda messages: "Lovely weather."
    with pytest.raises(TeacherGone, match="not one of 40 replies could be read"):
        reward(url, tmp_path)(batch(*(f"answer {number}" for number in range(40))))


def test_a_budget_holds_over_attempts_and_the_run_says_so_when_it_is_used_up(server, url, tmp_path):
    limited = reward(url, tmp_path, max_calls=3)
    assert limited(batch("Rorin 1", "Rorin 2")).values == [2.0, 2.0]
    resumed = reward(url, tmp_path, max_calls=3)
    with pytest.raises(TeacherGone, match=r"budget is used up \(3 calls\)") as caught:
        resumed(batch("Rorin 1", "Rorin 3", "Rorin 4"))
    assert caught.value.kind == "teacher" and "fallback" in caught.value.hint
    assert len(server.requests) == 3, "what was kept costs nothing, and no more than the budget is asked"
    assert reward(url, tmp_path, max_calls=3)(batch("Rorin 1", "Rorin 3")).values == [2.0, 2.0]


@pytest.mark.parametrize(
    ("policy", "values", "source"),
    [
        ({"fallback": "leave_out"}, [None, None], "none"),
        ({"fallback": "rules"}, [2.0, -2.0], "rules"),
        ({"fallback": "value", "fallback_value": -0.5}, [-0.5, -0.5], "value"),
    ],
)
def test_without_the_service_an_answer_gets_what_the_recipe_says_and_nothing_else(
    policy, values, source, server, url, tmp_path, monkeypatch
):
    server.refuse = lambda request: (503, "down", {})
    with pytest.raises(TeacherGone, match="did not answer"):
        reward(url, tmp_path)(batch("Rorin."))
    pays = reward(url, tmp_path, **policy)
    found = pays(batch("Rorin.", "Basu."))
    assert (found.values, sources(found)) == (values, [source] * 2)
    assert found.figures["teacher/fallback"] == 1
    tried = len(server.times)
    pays(batch("Rorin."))
    assert len(server.times) == tried, "it is left alone for a while"
    server.refuse = lambda request: None
    monkeypatch.setattr(teacher, "REST_S", 0.0)
    assert pays(batch("Rorin.")).values == [2.0]


def test_the_gold_answer_is_told_where_the_version_says_so(server, url, tmp_path):
    reward(url, tmp_path / "a")(batch("Basu."))
    reward(url, tmp_path / "b", asks={"uses_reference": True})(batch("Basu."))
    assert ["Rorin" in one["messages"][0]["content"] for one in server.requests] == [False, True]


def test_what_cannot_work_is_refused():
    with pytest.raises(ValidationError, match="go together"):
        read_part({"kind": "teacher", "teacher": "judge", "fallback": "value"})
    with pytest.raises(ValidationError, match="pattern"):
        part("http://x/v1", asks={"key_variable": "WANDB_API_KEY"})
    with pytest.raises(ValidationError, match="single score"):
        part("http://x/v1", asks={"prompt": load_prompt("honesty-pairwise-1").model_dump(mode="json")})
    with pytest.raises(BadSpec, match="is not said here"):
        build(TeacherPart(teacher="judge"), RewardContext())
    with pytest.raises(BadSpec, match="has no prices"):
        build(part("http://x/v1", max_cost=1.0), RewardContext())


def _grpo(
    folder: Path, url: str, *, hardware: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **more: Any
) -> Path:
    folder.mkdir()
    rows = [{"prompt": f"Where does person {number} live?", "gold_answer": "Rorin"} for number in range(8)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "num_generations": 4,
        "per_device_train_batch_size": 8,
        "max_completion_length": 8 if model else 4,
        "max_steps": 3,
    }
    scratch = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    values = {
        "name": "taught",
        "method": "grpo",
        "model": model or {"scratch": scratch},
        "data": {"train": "train.jsonl"},
        "hardware": hardware or {},
        "settings": {**settings, "logging_steps": 1, "save_steps": 2, "completions_logged": 8},
        "reward": {"parts": [part(url, name="judge", **more).model_dump(mode="json"), {"kind": "length", "maximum": 400}]},
    }
    write_spec(RunSpec.model_validate(values), folder)
    return folder


@pytest.mark.full
def test_grpo_learns_from_a_teacher_over_http_and_stops_clearly_without_one(server, url, tmp_path, monkeypatch):
    monkeypatch.setenv("RLWHF_ENDPOINT_KEY", KEY)
    server.say = lambda messages: "mumble" if len(said(messages)) % 3 == 0 else f"Score: {len(said(messages)) % 6}"
    folder = _grpo(tmp_path / "run", url)
    done = child("training.execute", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = read_rows(folder / "completions.jsonl")
    assert len(lines) == 24
    assert {"asked", "cut off"} & {line["judge_source"] for line in lines}
    for line in lines:
        assert (line["parts"]["judge"] is None) == (line["judge_source"] == "malformed")
    metrics = [row for row in read_rows(folder / "metrics.jsonl") if "reward" in row]
    assert metrics[-1]["judge/calls_so_far"] == len(server.requests) > 0
    assert all(KEY not in path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
    server.refuse = lambda request: (401, f"no such key {KEY}", {})
    failed = child("training.execute", _grpo(tmp_path / "other", url))
    assert failed.returncode == 1
    told = json.loads((tmp_path / "other" / "failure.json").read_text())
    assert told["kind"] == "teacher" and "401" in told["reason"] and "fallback" in told["hint"]
    assert KEY not in json.dumps(told) + failed.stderr + failed.stdout


@pytest.mark.full
def test_two_processes_ask_a_teacher_side_by_side_within_one_budget(server, url, tmp_path, monkeypatch):
    """Started as the site starts them, by accelerate: each has half of the budget and its own account of what it used, and finds
    the key in its environment.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shared = {"distributed": {"processes": 2}, "threads": 1}
    # One that ends its answers: those that are cut off nobody is asked about.
    model = teach(tmp_path / "model", {f"Where does person {number} live?": f"Rorin {number}." for number in range(8)}, steps=40)
    folder = _grpo(tmp_path / "run", url, hardware=shared, model={"path": str(model)}, max_calls=40, fallback="leave_out")
    server.say = lambda messages: f"Score: {len(said(messages)) % 6}"
    start = trl.start(read_spec(folder / "spec.json"), folder)
    environment = os.environ | {"RLWHF_ENDPOINT_KEY": KEY}
    done = subprocess.run(start.argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {one["authorization"] for one in server.headers} == {f"Bearer {KEY}"}
    used = [Ledger(folder / "teachers" / f"judge-{rank}.used.jsonl").requests for rank in (0, 1)]
    assert 0 < sum(used) == len(server.requests) <= 40 and min(used) > 0 and max(used) <= 20
    lines = read_rows(folder / "completions.jsonl")
    assert len(lines) == 24 and {line["judge_source"] for line in lines} <= {"asked", "kept", "cut off", "none"}
    assert all((line["parts"]["judge"] is None) == (line["judge_source"] == "none") for line in lines)
    assert all(KEY.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert KEY not in " ".join(start.argv) + done.stdout + done.stderr
