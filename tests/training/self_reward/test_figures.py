"""A round of self-rewarding data in figures, against values counted by hand."""

from __future__ import annotations

from training.self_reward.figures import judge_beside_gold, round_figures
from training.self_reward.rows import Judged, rows_made


def judged(prompt: str, sample: int, answer: str, score: float | None, **more) -> Judged:
    return Judged(id=prompt, prompt=prompt, sample=sample, answer=answer, ended=True, score=score, **more)


def test_scores_gaps_lengths_and_what_was_left_out_are_counted():
    found = [
        judged("a", 0, "Rome.", 2.0),
        judged("a", 1, "It is Oslo, I think.", -2.0),
        judged("a", 2, "Lima.", 0.0),
        judged("b", 0, "Yes.", 1.0),
        judged("b", 1, "No.", None, reason="no score"),
    ]
    figures = round_figures(found, rows_made(found, min_gap=1.0, temperature=1.0, logged=0))
    assert (figures["prompts"], figures["answers"], figures["scored"], figures["score_mean"]) == (2, 5, 4, 0.25)
    assert figures["scores"] == {"-2": 1, "-1": 0, "0": 1, "1": 1, "2": 1}
    assert figures["gaps"] == {"0": 0, "1": 0, "2": 0, "3": 0, "4": 1}
    assert figures["rows"] == {"dpo": 1, "grpo": 4, "gspo": 1}
    assert figures["dropped"] == {"answers": {"malformed verdict": 1}, "prompts": {"fewer than two answers to compare": 1}}
    assert figures["lengths"]["chosen"] == {"n": 1, "mean": 1.0, "median": 1, "low": 1, "high": 1}
    assert figures["lengths"]["rejected"]["mean"] == 5.0
    assert figures["lengths"]["answers"] == {"n": 5, "mean": 1.8, "median": 1, "low": 1, "high": 1}


def test_the_judge_is_held_against_the_gold_answers_where_there_are_some():
    said = (("Rome.", 2.0), ("Oslo.", 2.0), ("I do not know.", 0.4), ("Rome.", -2.0), ("Oslo.", None))
    found = [judged("a", number, answer, score, gold_answer="Rome") for number, (answer, score) in enumerate(said)]
    assert judge_beside_gold(found) == {"n": 4, "right": 2, "too high": 1, "too low": 1}
    assert judge_beside_gold([judged("a", 0, "Rome.", 2.0)]) is None


def test_scores_between_the_steps_are_told_by_halves_and_of_nothing_nothing_is_told():
    found = [judged("a", 0, "x", 1.2), judged("a", 1, "y", -0.4)]
    assert round_figures(found, rows_made(found, min_gap=1.0, temperature=1.0, logged=0))["scores"] == {
        "-2": 0, "-1.5": 0, "-1": 0, "-0.5": 1, "0": 0, "0.5": 0, "1": 1, "1.5": 0, "2": 0,
    }  # fmt: skip
    none = round_figures([], rows_made([], min_gap=1.0, temperature=1.0, logged=0))
    assert (none["score_mean"], none["scores"], none["lengths"]["answers"]) == (None, {}, None)
