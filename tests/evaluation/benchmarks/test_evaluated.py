"""Published benchmarks put to a real tiny model: each answer is judged as its question asks for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import orjson
import pytest

from evaluation.answers import answers_read
from evaluation.benchmarks.folder import benchmark_read
from evaluation.benchmarks.importing import benchmark_import_read, benchmark_write
from evaluation.execute import evaluate
from evaluation.judging import judge_answer
from evaluation.scorecards.scorecard import Scorecard
from tests.evaluation.benchmarks import published
from training.specs import ScratchModel
from training.stopping import StopRequest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights."""
    import torch

    from training.scratch import make_model, make_tokenizer

    scratch = ScratchModel(vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    torch.manual_seed(0)
    tokenizer = make_tokenizer(["What happens if you swallow a cherry stone?", "Yes. No. (A) (B) I don't know."], scratch)
    folder = tmp_path_factory.mktemp("model")
    make_model(tokenizer, scratch).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.full
def test_each_format_is_asked_and_judged(tmp_path: Path, model: Path) -> None:
    records = {
        "truthfulqa": [published.TRUTHFULQA[0]], "truthfulqa-choice": [published.TRUTHFULQA_MC1],
        "halueval": [published.HALUEVAL_QA], "coconot": [published.COCONOT], "coconot-contrast": [published.COCONOT],
        "selfaware": published.SELFAWARE["example"], "simpleqa": [published.SIMPLEQA],
    }  # fmt: skip
    questions = []
    for name, rows in records.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        found = benchmark_import_read(path, source_format=name).questions
        questions += [one.model_copy(update={"id": f"{name}/{one.id}", "slice": {"set": name}}) for one in found]
    folder = benchmark_write(questions, root=tmp_path, name="mixed", version="1", manifest={})
    run = tmp_path / "run"
    run.mkdir()
    spec = {"model": {"name": "m", "path": str(model)}, "benchmark": str(folder), "max_new_tokens": 8, "resamples": 100}
    (run / "evaluate.json").write_text(json.dumps(spec))
    evaluate(run, StopRequest())
    rows = answers_read(run / "answers.jsonl")
    asked = benchmark_read(folder).questions
    assert [row.id for row in rows] == [one.id for one in asked]
    assert [row.verdict for row in rows] == [judge_answer(one, row.answer).verdict for one, row in zip(asked, rows, strict=True)]
    assert Counter(one.judge for one in asked) == {"references": 1, "choice": 3, "compliance": 2, "gold": 3}
    card = Scorecard.model_validate_json((run / "scorecard.json").read_bytes())
    assert card.n == 9 and {f"set: {name}" for name in records} <= set(card.slices)
    labelled = {row.id: row.known for row in rows if row.known is not None}
    assert labelled == {"coconot/coconot_1": False, "coconot-contrast/coconot_1": True, "selfaware/7": True, "selfaware/8": False}
