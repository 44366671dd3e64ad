"""Whole evaluations of real tiny models and of a service: everything that can be asked, resumed, and read off the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.chat.service import KEY_VARIABLE
from evaluation.answers import answers_read
from evaluation.asking.service import ServiceUnavailable
from evaluation.execute import evaluate
from evaluation.scorecards.scorecard import Scorecard
from evaluation.specs import EvaluateSpec
from tests.chat_server import ChatServer, serving
from tests.evaluation.test_execute import ROOT, write_benchmark
from training.exceptions import Stopped
from training.stopping import StopRequest


def folder_with(folder: Path, benchmark: Path, **spec: object) -> Path:
    folder.mkdir()
    common = {"benchmark": str(benchmark), "max_new_tokens": 4, "resamples": 100, "hardware": {"threads": 1}}
    (folder / "evaluate.json").write_text(json.dumps(common | spec))
    return folder


def model(name: str, path: Path) -> dict[str, str]:
    return {"name": name, "path": str(path)}


EVERYTHING = {
    "samples": 2,
    "elicit": ["probability", "stated", "agreement"],
    "confidence": "agreement",
    "knowledge": "samples",
    "probes": ["are_you_sure", "false_authority", "leading_premise", "critique", "belief"],
    "kl": True,
}


def test_everything_is_asked_of_both_models_and_a_second_time_of_none(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    benchmark, cache = write_benchmark(tmp_path / "toy", people=2), tmp_path / "cache"
    models = {"model": model("trained", tiny(0)), "base": model("base", tiny(1)), "cache": str(cache)}
    first = folder_with(tmp_path / "one", benchmark, **models, **EVERYTHING)
    result = evaluate(first, StopRequest())
    progress = json.loads((first / "progress.json").read_text())
    assert progress["done"] == progress["total"] == sum(result["asked"]) + 4 * 3
    rows, base = answers_read(first / "answers.jsonl"), answers_read(first / "base_answers.jsonl")
    for row in rows:
        assert set(row.probes) == set(EVERYTHING["probes"]) and len(row.samples) == 2
        assert row.confidence == row.agreement is not None
        assert row.logprob is not None and row.reference_logprob is not None
        assert all(one.logprob is not None and one.reference_logprob is not None for one in row.samples)
        assert (row.known, row.knowledge_source) == (False, "samples")  # random weights know nothing
    assert all(row.reference_logprob is None and set(row.probes) == set(EVERYTHING["probes"]) for row in base)
    card = Scorecard.model_validate_json((first / "scorecard.json").read_bytes())
    assert card.settings["knowledge"] == "samples" and card.settings["probes"] == EVERYTHING["probes"]

    again = evaluate(folder_with(tmp_path / "two", benchmark, **models, **EVERYTHING), StopRequest())
    assert (again["asked"], again["cached"]) == ([0, 0], [True, True])
    assert (tmp_path / "two" / "answers.jsonl").read_bytes() == (first / "answers.jsonl").read_bytes()
    fewer = folder_with(tmp_path / "three", benchmark, **models, probes=["belief"])
    assert evaluate(fewer, StopRequest())["asked"] == [0, 0]


def test_a_model_diverges_from_itself_by_nothing(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny(0), copy)
    (copy / "generation_config.json").unlink(missing_ok=True)  # another hash, the same weights
    benchmark = write_benchmark(tmp_path / "toy", people=2)
    folder = folder_with(
        tmp_path / "one", benchmark, model=model("copy", copy), base=model("base", tiny(0)), samples=2, kl=True, temperature=1.0
    )
    evaluate(folder, StopRequest())
    for row in answers_read(folder / "answers.jsonl"):
        for said in (row, *row.samples):
            assert said.logprob == pytest.approx(said.reference_logprob, abs=1e-3)


def test_stopped_half_way_it_goes_on_where_it_was(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    benchmark = write_benchmark(tmp_path / "toy", people=4)

    class StopAfter(StopRequest):
        """Asked to stop after so many looks."""

        looks = 3

        @property
        def asked(self) -> bool:
            self.looks -= 1
            return self.looks < 0

        @asked.setter
        def asked(self, value: bool) -> None:
            pass

    spec = {"model": model("m", tiny(0)), "batch_size": 2, "samples": 1, "elicit": ["agreement"], "confidence": "agreement"}
    folder = folder_with(tmp_path / "one", benchmark, **spec)
    with pytest.raises(Stopped):
        evaluate(folder, StopAfter())
    assert not (folder / "scorecard.json").exists()
    whole = evaluate(folder_with(tmp_path / "whole", benchmark, **spec), StopRequest())
    assert evaluate(folder, StopRequest())["asked"] == [whole["asked"][0] - 4]
    assert (folder / "answers.jsonl").read_bytes() == (tmp_path / "whole" / "answers.jsonl").read_bytes()


def test_the_model_of_a_service_gets_a_scorecard_and_its_price(tmp_path: Path) -> None:
    benchmark = write_benchmark(tmp_path / "toy", people=8)
    server = ChatServer(lambda messages: "Ada." if "person 1 " in messages[0]["content"] else "I do not know.")
    with serving(server) as url:
        service = {"base_url": url, "model": "big", "price_in": 1.0, "price_out": 2.0, "addresses": ["127.0.0.1"]}
        asked = {"name": "service", "endpoint": service}
        folder = folder_with(tmp_path / "one", benchmark, model=asked, cache=str(tmp_path / "cache"))
        result = evaluate(folder, StopRequest())
        again = evaluate(folder_with(tmp_path / "two", benchmark, model=asked, cache=str(tmp_path / "cache")), StopRequest())
    assert result["asked"] == [16] and again["asked"] == [0]
    usage = result["usage"]
    assert usage["cost"] == pytest.approx((usage["tokens_in"] + 2 * usage["tokens_out"]) / 1e6) != 0
    assert again["usage"]["requests"] == 0
    card = Scorecard.model_validate_json((folder / "scorecard.json").read_bytes())
    assert card.artifact.name == "service" and card.artifact.path is None
    assert result["verdicts"]["correct"] == 2 and result["verdicts"]["abstained"] == 14


def test_use_is_counted_over_all_attempts_and_nothing_asked_is_no_speed(tmp_path: Path) -> None:
    benchmark, broke = write_benchmark(tmp_path / "toy", people=4), []

    def refuse(request: dict) -> tuple[int, str, dict] | None:
        return (401, "who are you?", {}) if len(server.requests) == 5 and not broke else None

    server = ChatServer(lambda messages: "Ada.", refuse=refuse)
    with serving(server) as url:
        asked = {"name": "service", "endpoint": {"base_url": url, "model": "big", "at_once": 1, "price_in": 1.0}}
        folder = folder_with(tmp_path / "one", benchmark, model=asked)
        with pytest.raises(ServiceUnavailable, match="who are you"):
            evaluate(folder, StopRequest())
        broke.append(True)
        result = evaluate(folder, StopRequest())
        with (folder / "usage-service.jsonl").open("a") as file:
            file.write("\n{half")
        again = evaluate(folder, StopRequest())
    assert (result["asked"], result["usage"]["requests"]) == ([3], 8)
    assert result["usage"]["cost"] == pytest.approx(result["usage"]["tokens_in"] / 1e6)
    assert again["usage"] == result["usage"]
    assert result["answers_per_second"] > 0 and again["answers_per_second"] is None


def test_a_model_that_was_trained_anew_under_its_name_is_asked_anew(tmp_path: Path) -> None:
    benchmark, server = write_benchmark(tmp_path / "toy", people=2), ChatServer(lambda messages: "Ada.")
    with serving(server) as url:
        common = {"model": {"name": "s", "endpoint": {"base_url": url, "model": "big"}}, "cache": str(tmp_path / "cache")}

        def asked(name: str, digest: str, **more: object) -> int:
            server.cards["big"] = {"id": "big", "digest": digest}
            return evaluate(folder_with(tmp_path / name, benchmark, **common, **more), StopRequest())["asked"][0]

        assert [asked("one", "a"), asked("two", "a"), asked("three", "b"), asked("four", "b")] == [4, 0, 4, 0]
        assert [asked("five", "b", fresh=True), asked("six", "b")] == [4, 0]


def test_answers_that_had_to_be_drawn_are_not_called_greedy(tmp_path: Path) -> None:
    benchmark, unknown = write_benchmark(tmp_path / "toy", people=2), "Unsupported value: 'temperature' does not support 0"
    server = ChatServer(lambda messages: "Ada.", refuse=lambda asked: (400, unknown, {}) if "temperature" in asked else None)
    with serving(server) as url:
        folder = folder_with(tmp_path / "one", benchmark, model={"name": "s", "endpoint": {"base_url": url, "model": "m"}})
        evaluate(folder, StopRequest())
    card = Scorecard.model_validate_json((folder / "scorecard.json").read_bytes())
    assert card.settings["greedy"] is False and all(row.drawn for row in answers_read(folder / "answers.jsonl"))


def test_a_child_process_takes_the_key_from_its_environment_and_loads_no_model(tmp_path: Path) -> None:
    benchmark = write_benchmark(tmp_path / "toy", people=2)
    server = ChatServer(lambda messages: "Ada.")
    with serving(server) as url:
        folder = folder_with(tmp_path / "one", benchmark, model={"name": "s", "endpoint": {"base_url": url, "model": "big"}})
        code = "import sys; from evaluation.execute import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            cwd=ROOT,
            env={**os.environ, KEY_VARIABLE: "sk-secret"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
    assert done.stdout.split() == ["0", "False"], done.stderr
    assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-secret"}
    assert not [path for path in folder.rglob("*") if path.is_file() and b"sk-secret" in path.read_bytes()]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"confidence": "stated"}, "not elicited"),
        ({"elicit": ["probability", "agreement"]}, "how many samples"),
        ({"knowledge": "samples"}, "how many samples"),
        ({"kl": True, "samples": 2}, "there is none"),
        ({"kl": True, "samples": 2, "temperature": 0.7, "base": {"name": "b", "path": "b"}}, "temperature"),
        ({"probes": ["flattery"]}, "probes"),
    ],
)
def test_what_cannot_be_asked_is_refused(change: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        EvaluateSpec.model_validate({"model": {"name": "m", "path": "m"}, "benchmark": "b", **change})
