"""A right answer against a wrong one, read by real tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from annotations.verdicts import ABSTENTION
from evaluation.answers import answers_read
from evaluation.asking.local import LocalModel
from evaluation.asking.preferring import preferences_of, rewarded_pairs
from evaluation.benchmarks.folder import benchmark_read
from evaluation.execute import evaluate
from evaluation.scorecards.scorecard import Scorecard
from tests.evaluation.asking.test_evaluate import folder_with, model
from tests.evaluation.test_execute import write_benchmark
from training.exceptions import BadSpec
from training.specs import HardwareSpec
from training.stopping import StopRequest


def local(path: Path) -> LocalModel:
    return LocalModel(str(path), hardware=HardwareSpec(threads=1), prompt_format="plain", batch_size=3)


def logprob_alone(path: Path, prompt: str, answer: str) -> float:
    """One answer as TRL's trainers write it behind plain text, token by token, without batches and padding."""
    tokenizer, network = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path).eval()
    said = tokenizer(prompt)["input_ids"]
    ids = tokenizer(f"{prompt} {answer}{tokenizer.eos_token}")["input_ids"]
    assert ids[: len(said)] == said
    with torch.inference_mode():
        logs = network(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
    return sum(float(logs[at - 1, ids[at]]) for at in range(len(said), len(ids)))


def test_both_answers_of_a_pair_are_read_by_both_models(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    benchmark = write_benchmark(tmp_path / "toy", people=3)
    folder = folder_with(
        tmp_path / "one", benchmark, model=model("trained", tiny(0)), base=model("base", tiny(1)), preferences=True,
        prompt_format="plain",
    )  # fmt: skip
    evaluate(folder, StopRequest())
    progress = json.loads((folder / "progress.json").read_text())
    assert progress["done"] == progress["total"]
    card = Scorecard.model_validate_json((folder / "scorecard.json").read_bytes())
    read, rows = benchmark_read(benchmark), answers_read(folder / "answers.jsonl")
    pairs = preferences_of(read, rows)
    assert pairs
    assert all((one.chosen == ABSTENTION) == (row.known is False) for one, row in zip(pairs, rows, strict=True))
    assert all(one.rejected != one.chosen for one in pairs)
    found = rewarded_pairs(
        pairs, local(tiny(0)), local(tiny(1)), folder=tmp_path / "cache", stop=StopRequest(), tell=lambda number: None
    )
    for pair, one in zip(pairs[:2], found[:2], strict=True):
        own, base = (logprob_alone(tiny(seed), pair.prompt, pair.rejected) for seed in (0, 1))
        assert one.rejected_logprob == pytest.approx(own, abs=1e-3)
        assert one.rejected_reward == pytest.approx(own - base, abs=2e-3)
    held_out = {row.id for row in rows if row.slices.get("fold", "B") == "B"}
    shown = [one for one in found if one.item in held_out]
    won = [one.chosen_reward > one.rejected_reward for one in shown]
    assert card.pairs["reward_accuracy"].value == pytest.approx(sum(won) / len(won), abs=1e-6)
    likelier = [one.chosen_logprob > one.rejected_logprob for one in shown]
    assert card.pairs["likelihood_accuracy"].value == pytest.approx(sum(likelier) / len(likelier), abs=1e-6)


def test_without_a_base_model_there_is_no_reward(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    benchmark = write_benchmark(tmp_path / "toy", people=2)
    folder = folder_with(tmp_path / "one", benchmark, model=model("trained", tiny(0)), preferences=True)
    evaluate(folder, StopRequest())
    card = Scorecard.model_validate_json((folder / "scorecard.json").read_bytes())
    assert set(card.pairs) == {"likelihood_accuracy"}


def test_a_service_cannot_be_asked_how_likely_an_answer_is(tmp_path: Path) -> None:
    service = {"name": "service", "endpoint": {"base_url": "http://localhost/v1", "model": "big"}}
    folder = folder_with(tmp_path / "one", write_benchmark(tmp_path / "toy", people=2), model=service, preferences=True)
    with pytest.raises(BadSpec, match="cannot be asked of it"):
        evaluate(folder, StopRequest())
