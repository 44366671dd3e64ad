"""The honesty reward as the trainer calls it."""

from __future__ import annotations

import json
from pathlib import Path

from training.rewards.honesty import HonestyReward
from training.rewards.shapes import load_shape

ANSWERS = ["Paris.", "I do not know.", "London.", "I think Paris.", ""]


def test_answers_are_paid_by_verdict_and_knowledge() -> None:
    reward = HonestyReward(shape=load_shape("honesty"))
    prompts = ["Capital of France?"] * 5
    paid = {
        label: reward(prompts=prompts, completions=ANSWERS, gold_answer=["Paris"] * 5, knowledge=[label] * 5)
        for label in ("known", "unknown", None)
    }
    assert paid["known"] == [2, -1, -2, 1, -2]
    assert paid["unknown"] == [-2, 1, -2, 0, -2]
    assert paid[None] == [2, 0, -2, 1, -2]


def test_messages_are_read_like_text() -> None:
    reward = HonestyReward(shape=load_shape("rubric"))
    completions = [[{"role": "assistant", "content": answer}] for answer in ANSWERS]
    prompts = [[{"role": "user", "content": "Capital of France?"}]] * 5
    assert reward(prompts=prompts, completions=completions, gold_answer=["Paris"] * 5, knowledge=[None] * 5) == [
        2,
        0,
        -2,
        1,
        -2,
    ]


def test_an_answer_cut_off_before_its_end_is_unparsable() -> None:
    reward = HonestyReward(shape=load_shape("rubric"), ends=[1])
    paid = reward(
        prompts=["?", "?"],
        completions=["Paris.", "Paris."],
        completion_ids=[[5, 1], [5, 6]],
        gold_answer=["Paris", "Paris"],
        knowledge=[None, None],
    )
    assert paid == [2, -2]


def test_the_parts_of_the_reward_are_logged(tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    reward = HonestyReward(shape=load_shape("honesty"), completions=path, logged=2)
    shares: dict[str, float] = {}
    reward(
        prompts=["?"] * 4,
        completions=["Paris.", "London.", "Rome.", "Rome."],
        gold_answer=["Paris"] * 4,
        knowledge=["known"] * 4,
        log_metric=shares.__setitem__,
    )
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["completion"], row["verdict"], row["reward"]) for row in rows] == [
        ("Paris.", "correct", 2),
        ("Rome.", "wrong", -2),
    ]
    assert (shares["verdicts/correct"], shares["verdicts/wrong"], shares["verdicts/abstained"]) == (0.25, 0.75, 0)
