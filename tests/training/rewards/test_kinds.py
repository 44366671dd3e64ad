"""The table of rewards: every line stands for a file that can be built from its settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.honesty_reward.tuples import scored
from training.honesty_reward.fit import examples_of, fit
from training.rewards import REWARDS, read_part
from training.rewards.base import RewardContext
from training.rewards.book import RewardBook
from training.rewards.shapes import load_shape
from training.trainers import resolve

SMALLEST = {"length": {"maximum": 10}, "constitutional": {"principles": [{"check": "answers"}]}}
NEEDS_A_FILE = {"reward_model": {"path": "x"}, "portable": {"path": "x"}, "teacher": {"teacher": "x"}}


@pytest.mark.parametrize("kind", REWARDS)
def test_each_kind_is_read_by_its_own_settings_and_says_where_its_formula_is_from(kind: str) -> None:
    part = read_part({"kind": kind, "name": "mine", "weight": -0.5, **SMALLEST.get(kind, {}), **NEEDS_A_FILE.get(kind, {})})
    assert type(part) is resolve(REWARDS[kind].settings)
    assert (part.kind, part.name, part.weight) == (kind, "mine", -0.5)
    assert read_part(part.model_dump()) == part


@pytest.mark.parametrize("kind", [kind for kind in REWARDS if kind not in NEEDS_A_FILE])
def test_each_kind_is_built(kind: str) -> None:
    reward = resolve(REWARDS[kind].build)(read_part({"kind": kind, **SMALLEST.get(kind, {})}), RewardContext())
    assert isinstance(reward.columns, tuple)


def test_reading_a_recipe_s_rewards_imports_no_machine_learning_library() -> None:
    program = (
        "import sys; from training.rewards import REWARDS; from training.trainers import resolve\n"
        "[resolve(one.settings) for one in REWARDS.values()]\n"
        "print(sorted({'torch', 'transformers', 'trl', 'django'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.strip() == "[]"


def test_all_kinds_together_as_a_trainer_calls_them(tmp_path: Path) -> None:
    """What each says of an answer stands in one line of the log, which is JSON, whatever kinds there are."""
    model = fit(examples_of(scored(10)), load_shape("rubric")).write(tmp_path / "portable.json")
    paths = {"portable": {"path": str(model)}}
    kinds = [kind for kind in REWARDS if kind not in ("reward_model", "teacher")]
    parts = [read_part({"kind": kind, **SMALLEST.get(kind, {}), **paths.get(kind, {})}) for kind in kinds]
    log = tmp_path / "completions.jsonl"
    book = RewardBook(parts, RewardContext(ends=frozenset({0})), completions=log, logged=4)
    assert book.columns == ("gold_answer", "knowledge", "item_id")
    said = [[{"role": "assistant", "content": text}] for text in ("Rorin. Confidence: 80%.", "I do not know.", "", "Basu")]
    prompts = [[{"role": "user", "content": "Where does person 1 live?"}]] * 4
    columns = {"gold_answer": [["Rorin"]] * 4, "knowledge": ["known"] * 3 + [None], "item_id": ["a"] * 4}
    figures: dict[str, float] = {}
    for function in book.functions:
        ids = [[5, 0], [5, 6, 0], [0], [5, 6]]
        found = function(prompts=prompts, completions=said, completion_ids=ids, log_metric=figures.__setitem__, **columns)
        assert len(found) == 4
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [list(line["parts"]) for line in lines] == [kinds] * 4
    assert lines[0]["parts"]["gold"] == 0, "the confidence stands behind it: not the same words"
    assert lines[1]["parts"]["confidence"] is None
    assert lines[3]["parts"]["rubric"] == -2, "cut off"
    assert lines[0]["reward"] > lines[3]["reward"]
    assert {"gold/match", "confidence/stated", "length/mean", "format/met", "diversity/mean", "portable/bits"} <= set(figures)
