"""Scored answers become pairs, rows and groups; what is left out is counted with its reason."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from training.self_reward.rows import Judged, Made, rows_made, softmax


def judged(prompt: str, *answers: tuple[str, float | None], **more: Any) -> list[Judged]:
    return [
        Judged(id=prompt, prompt=f"{prompt}?", sample=number, answer=text, ended=True, score=score, **more)
        for number, (text, score) in enumerate(answers)
    ]


def made(*groups: list[Judged], **more: Any) -> Made:
    return rows_made([one for group in groups for one in group], **{"min_gap": 1.0, "temperature": 1.0, "logged": 20, **more})


def test_a_prompt_with_answers_of_different_worth_gives_a_pair_rows_and_a_group():
    found = made(judged("q", ("best", 2.0), ("worst", -2.0), ("fair", 1.0), gold_answer="best"))
    assert found.dpo == [
        {
            "prompt": "q?", "chosen": "best", "rejected": "worst", "chosen_reward": 2.0, "rejected_reward": -2.0, "item_id": "q",
            "gold_answer": "best",
        }
    ]  # fmt: skip
    assert [(row["response"], row["reward"]) for row in found.grpo] == [("best", 2.0), ("worst", -2.0), ("fair", 1.0)]
    group = found.gspo[0]
    assert (group["responses"], group["rewards"]) == (["best", "worst", "fair"], [2.0, -2.0, 1.0])
    total = exp(2) + exp(-2) + exp(1)
    assert group["weights"] == pytest.approx([exp(2) / total, exp(-2) / total, exp(1) / total])
    assert not +found.dropped_answers and not +found.dropped_prompts


def test_the_weights_temperature_sharpens_or_flattens_and_large_scores_do_not_overflow():
    assert softmax([2.0, -2.0], 0.01)[0] == pytest.approx(1.0)
    assert softmax([2.0, -2.0], 100.0) == pytest.approx([0.51, 0.49], abs=1e-3)
    assert softmax([1000.0, 999.0], 1.0) == pytest.approx(softmax([1.0, 0.0], 1.0))


def test_what_no_row_may_hold_is_left_out_with_its_reason():
    cut = Judged("a", "a?", 9, "begins and", False, 2.0)
    unsure = Judged("a", "a?", 8, "well", True, None, cannot_tell=True)
    answers = judged("a", ("good", 2.0), ("", None), ("GOOD ", 0.0), ("odd", None), ("A?", 2.0), ("bad", -1.0))
    found = made([cut, unsure, *answers])
    assert found.dropped_answers == {
        "cut off": 1, "the judge cannot tell": 1, "empty": 1, "malformed verdict": 1, "repeats the prompt": 1,
        "the same words again": 1,
    }  # fmt: skip
    assert [(row["response"], row["reward"]) for row in found.grpo] == [("good", 1.0), ("bad", -1.0)], "the mean of its scores"
    assert sum(found.dropped_answers.values()) + len(found.grpo) == 8, "every answer is accounted for"


def test_prompts_without_a_pair_say_why():
    found = made(
        judged("alone", ("one", 2.0)),
        judged("alike", ("one", 1.0), ("two", 1.0)),
        judged("close", ("one", 1.0), ("two", 0.4)),
        judged("apart", ("one", 1.0), ("two", 0.0)),
        judged("nothing", ("one", None)),
    )
    assert found.dropped_prompts == {"fewer than two answers to compare": 2, "all scored alike": 1, "too close": 1}
    assert [row["item_id"] for row in found.dpo] == ["apart"]
    assert [row["item_id"] for row in found.gspo] == ["alike", "close", "apart"]


def test_the_log_shows_some_prompts_with_all_that_was_said():
    many = [judged(f"q{number}", ("one", 2.0), ("two", None), reason="no line", critique="Hm.") for number in range(30)]
    found = made(*many)
    assert len(found.samples) == 20 and len(made(*many, logged=3).samples) == 3
    assert found.samples[0] == {
        "prompt": "q0?",
        "answers": [
            {"answer": "one", "score": 2.0, "dropped": "", "judge": "Hm.", "reason": "no line"},
            {"answer": "two", "score": None, "dropped": "malformed verdict", "judge": "Hm.", "reason": "no line"},
        ],
        "chosen": None,
        "rejected": None,
    }
