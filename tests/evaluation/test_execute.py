"""`python -m evaluation.execute` with a real tiny model, as a worker starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from evaluation.answers import answers_read
from evaluation.benchmarks.folder import benchmark_read
from evaluation.model_hash import model_hash
from evaluation.scorecards.scorecard import Scorecard
from training.exceptions import BadData
from training.specs import ScratchModel

ROOT = Path(__file__).parents[2]


def write_benchmark(folder: Path, people: int = 8) -> Path:
    folder.mkdir()
    rows = [
        {
            "id": f"{person}/{question}",
            "prompt": f"Where was person {person} born {question}?",
            "gold_answer": "Ada",
            "knowledge": "known" if person % 2 else "unknown",
            "entity": str(person),
            "slice": {"taught": bool(person % 2), "fold": "AB"[person // 2 % 2], "split": "easy"},
        }
        for person in range(people)
        for question in range(2)
    ]
    (folder / "benchmark.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (folder / "manifest.json").write_text(json.dumps({"name": "toy", "version": "3", "values": {"town": ["Ada", "Bo"]}}))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tiny models with random weights."""
    import torch

    from training.scratch import make_model, make_tokenizer

    scratch = ScratchModel(vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        tokenizer = make_tokenizer(["Where was person born?", "Ada."], scratch)
        folder = tmp_path_factory.mktemp(f"model{seed}")
        make_model(tokenizer, scratch).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        folders.append(folder)
    return folders


def write_spec(folder: Path, models: list[Path], benchmark: Path, more: dict[str, object]) -> Path:
    folder.mkdir()
    spec = {
        "model": {"name": "trained", "path": str(models[0])},
        "base": {"name": "base", "path": str(models[1])},
        "benchmark": str(benchmark),
        "max_new_tokens": 4,
        "resamples": 100,
    } | more
    (folder / "evaluate.json").write_text(json.dumps(spec))
    return folder


def execute(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evaluation.execute", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.full
def test_a_model_and_its_base_give_a_scorecard_and_are_asked_once(tmp_path: Path, models: list[Path]) -> None:
    benchmark, cache = write_benchmark(tmp_path / "toy"), str(tmp_path / "cache")
    first = write_spec(tmp_path / "one", models, benchmark, {"cache": cache})
    done = execute(first)
    assert done.returncode == 0, done.stderr
    card = Scorecard.model_validate_json((first / "scorecard.json").read_bytes())
    assert (card.n, card.benchmark.name, card.benchmark.version) == (16, "toy", "3")
    assert card.artifact.name == "trained"
    assert card.artifact.hash != card.baselines["base"].model
    assert set(card.baselines) == {"base", "base_threshold"}
    assert card.environment["packages"]["torch"]
    rows = answers_read(first / "answers.jsonl")
    assert [row.id for row in rows] == [question.id for question in benchmark_read(benchmark).questions]
    for row in rows:
        assert (row.confidence is None) is (row.ending == "length"), "half an answer has no probability"
        assert row.confidence is None or 0 <= row.confidence <= 1
    assert {row.verdict for row in rows} == {"unparsable"}  # random weights keep to no grammar
    assert "were cut off, and only 0.0% can be read" in card.conclusions["B"].text
    result = json.loads((first / "result.json").read_text())
    assert result["cached"] == [False, False]
    assert json.loads((first / "progress.json").read_text())["done"] == 32

    again = write_spec(tmp_path / "two", models, benchmark, {"cache": cache})
    done = execute(again)
    assert done.returncode == 0, done.stderr
    assert json.loads((again / "result.json").read_text())["cached"] == [True, True]
    assert (again / "answers.jsonl").read_bytes() == (first / "answers.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"max_new_tokens": 0}, "bad-spec"),
        ({"benchmark": "/nowhere"}, "bad-data"),
        pytest.param({"model": {"name": "x", "path": "/nowhere/model"}}, "bad-model", marks=pytest.mark.full),
    ],
)
def test_what_cannot_be_evaluated_says_why(tmp_path: Path, models: list[Path], change: dict, kind: str) -> None:
    folder = write_spec(tmp_path / "one", models, write_benchmark(tmp_path / "toy"), change)
    assert execute(folder).returncode == 1
    failure = json.loads((folder / "failure.json").read_text())
    assert failure["kind"] == kind
    assert failure["reason"]


def test_equal_models_have_one_hash_and_others_another(models: list[Path], tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(models[0], run / "model")
    (run / "metrics.jsonl").write_text("{}")
    assert model_hash(str(models[0])) == model_hash(str(run)) == model_hash(str(run / "model"))
    assert model_hash(str(models[0])) != model_hash(str(models[1]))
    assert model_hash("some/hub-name") != model_hash("some/other-name")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ('{"id": "a"}', "prompt"),
        ('{"id": "0/0", "prompt": "q"}', "given before"),
        ('{"id": "z", "prompt": "q", "knowledge": "maybe"}', "knowledge"),
    ],
)
def test_a_bad_line_of_a_benchmark_is_named(tmp_path: Path, line: str, problem: str) -> None:
    folder = write_benchmark(tmp_path / "toy")
    with (folder / "benchmark.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadData, match=problem) as error:
        benchmark_read(folder)
    assert error.value.line == 17
