"""Rounds of review: what the model is shown, what of it is trained, what is paid, and that it learns from it."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from tests.training.atlas_runs import read_rows
from tests.training.learning import Bench
from training.scratch import make_tokenizer
from training.specs import ScratchModel
from training.trainers.grpo_config import ReviewConfig
from training.trainers.reviewing import ReviewRounds, question_tokens

CHATML = (
    "{{ '<|im_start|>system\nBe honest.<|im_end|>\n' }}"
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer(["Where? Here. Sure? So? No."], ScratchModel(vocab_size=320))


class Model:
    """Says its lines one after another; the second prompt's are cut off before their end."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, lines: list[str]) -> None:
        self.tokenizer, self.lines = tokenizer, iter(lines)
        self.contexts: list[list[str]] = []
        self.limits: list[int] = []
        self.alike: list[int] = []
        self.model, self.use_vllm = SimpleNamespace(training=True), False
        self.num_generations, self.num_generations_eval = 2, 1
        self.generation_config = SimpleNamespace(max_new_tokens=9)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        texts = self.tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=False)
        return [self.tokenizer(text)["input_ids"] for text in texts], None, {}

    def _generate_single_turn(self, contexts: list[list[int]], _: None, __: dict[str, Any], alike: int) -> tuple[Any, None]:
        self.contexts.append(self.tokenizer.batch_decode(contexts))
        self.limits.append(self.generation_config.max_new_tokens)
        self.alike.append(alike)
        line = next(self.lines)
        return [self.tokenizer(f"{line}<|end|>")["input_ids"], self.tokenizer(line)["input_ids"]], None


def test_the_model_sees_all_that_was_said_and_only_its_own_words_are_trained(tokenizer: PreTrainedTokenizerFast) -> None:
    settings = ReviewConfig(critique_prompt="Sure?", revise_prompt="So?", max_critique_length=3)
    model = Model(tokenizer, ["Here.", "No.", "There."])
    rounds = ReviewRounds(settings, tokenizer, frozenset({tokenizer.eos_token_id}))
    found = rounds([[{"role": "user", "content": "Where?"}]] * 2, model)
    first = "<|user|>Where?<|assistant|>"
    second = f"{first}Here.<|end|><|user|>Sure?<|assistant|>"
    assert model.contexts == [[first] * 2, [second] * 2, [f"{second}No.<|end|><|user|>So?<|assistant|>"] * 2]
    assert (model.limits, model.alike) == ([9, 3, 9], [2, 1, 1])
    assert model.generation_config.max_new_tokens == 9
    own = [
        tokenizer.decode([token for token, mine in zip(ids, mask, strict=True) if mine])
        for ids, mask in zip(found["completion_ids"], found["env_mask"], strict=True)
    ]
    assert own == ["Here.<|end|>No.<|end|>There.<|end|>", "Here.No.There."]
    assert found["turns"] == [[{"answer": "Here.", "critique": "No."}, {"answer": "There."}]] * 2
    assert [len(ids) for ids in found["completion_ids"]] == [len(mask) for mask in found["env_mask"]]


def test_more_rounds_go_on_from_the_revised_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    model = Model(tokenizer, ["One.", "No.", "Two.", "No!", "Three."])
    rounds = ReviewRounds(ReviewConfig(rounds=2), tokenizer, frozenset({tokenizer.eos_token_id}))
    found = rounds([[{"role": "user", "content": "Where?"}]] * 2, model)
    turns = [{"answer": "One.", "critique": "No."}, {"answer": "Two.", "critique": "No!"}, {"answer": "Three."}]
    assert found["turns"] == [turns, turns]


def test_what_stands_between_two_answers_is_cut_out_of_any_template(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = CHATML
    between = tokenizer.decode(question_tokens(tokenizer, "Sure?"))
    assert between == "<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"


def talk(*said: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


@pytest.mark.full
def test_it_learns_when_to_stand_by_its_answer_and_when_to_take_it_back(tmp_path: Path, tmp_path_factory: Any) -> None:
    """The base repeats its answer or takes it back by a coin. Always taking it back earns 0, always knowing which 1.5."""
    shared = tmp_path_factory.getbasetemp().parent / "learning"
    shared.mkdir(exist_ok=True)
    bench = Bench(shared)
    prompts, rows = read_rows(bench.atlas.prompts), read_rows(bench.atlas.teach)
    for row in prompts:
        for said in (f"{row['gold_answer']}.", "I do not know."):
            asked = (row["prompt"], said, "Sure?")
            rows += [{"prompt": talk(*asked), "response": critique} for critique in ("Yes.", "No.")]
            rows += [{"prompt": talk(*asked, "Yes.", "So?"), "response": said}]
            rows += [{"prompt": talk(*asked, "No.", "So?"), "response": "I do not know."}]
    random.Random(0).shuffle(rows)
    speaks = {"max_steps": 200, "per_device_train_batch_size": 32, "learning_rate": 2e-3, "warmup_steps": 5}
    bench.train(tmp_path / "talks", "sft", rows, base=bench.base, settings=speaks)
    settings = {
        # Four seeds ended between 1.20 and 1.38 (of 1.5); after half as many steps one was below the bar.
        "max_steps": 80, "per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 8,
        "learning_rate": 5e-4, "logging_steps": 4,
        "review": {"critique_prompt": "Sure?", "revise_prompt": "So?", "max_critique_length": 4},
    }  # fmt: skip
    result = bench.train(tmp_path / "run", "grpo", prompts, base=tmp_path / "talks", held_out=prompts * 2, settings=settings)
    first = next(row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if "review/last_reward" in row)
    assert first["review/last_reward"] < 0.4
    assert result["metrics"]["eval_review/last_reward"] >= 0.8
    logged = read_rows(tmp_path / "run" / "completions.jsonl")
    assert all(row["completion"] == row["turns"][-1]["answer"] for row in logged)
    assert {len(row["turns"]) for row in logged} == {2}
    assert any(row["turns"][0]["answer"] != row["completion"] for row in logged)
