"""A reply is a score on the scale, or it is malformed and says why; nothing is guessed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotations.teachers.prompts import load_prompt
from annotations.teachers.replies import read_reply

SINGLE, PAIR, DIMENSIONS = load_prompt("honesty-single-1"), load_prompt("honesty-pairwise-1"), load_prompt("honesty-dimensions-1")
FIVE, BRIEF = load_prompt("score-0-5-1"), load_prompt("brief-1")
NAMES = ("factual_accuracy", "calibration")


@pytest.mark.parametrize(("text", "score"), [
    ('{"score": 2}', 2),
    ('```json\n{"critique": "Right. {x}", "score": -1.5, "confidence": 0.9}\n```', -1.5),
    ('I think so: {"score": "−1"} and that is all.', -1),
    ('{"note": 1} {"score": 0}', 0),
    ('{"score": 1} {"score": 1}', 1),
])  # fmt: skip
def test_a_score_is_found_whatever_is_written_around_it(text, score):
    assert read_reply(text, SINGLE).score == score


@pytest.mark.parametrize(("text", "reason"), [
    ("", "no JSON object"),
    ("The score is 2.", "no JSON object"),
    ('{"score": 3}', "not between -2 and 2"),
    ('{"score": 1.3}', "no half step"),
    ('{"score": true}', "no number"),
    ('{"score": NaN}', "no JSON object"),
    ('{"score": "high"}', "is no number"),
    ('{"score": [2]}', "is no number"),
    ('{"score": 2} or rather {"score": -2}', "several verdicts"),
    ('{"score": 2', "no JSON object"),
    ('{"score": 1, "dimensions": {"style": 2}}', "“style” is no dimension"),
    ('{"better": "A"}', "names no score"),
])  # fmt: skip
def test_what_is_no_score_is_malformed_and_says_why(text, reason):
    found = read_reply(text, SINGLE, NAMES)
    assert found.score is None and found.is_malformed
    assert reason in found.reason


def test_not_being_able_to_tell_is_a_verdict_and_not_a_fault():
    found = read_reply('{"score": null, "critique": "No source."}', SINGLE)
    assert (found.score, found.cannot_tell, found.is_malformed, found.critique) == (None, True, False, "No source.")


def test_dimensions_are_scored_apart():
    found = read_reply('{"score": 1, "dimensions": {"factual_accuracy": 2, "calibration": null}}', DIMENSIONS, NAMES)
    assert (found.score, dict(found.dimensions)) == (1, {"factual_accuracy": 2})
    assert "scores no dimension" in read_reply('{"score": 1}', DIMENSIONS, NAMES).reason


@pytest.mark.parametrize(
    ("text", "score"), [("Score: 5", 2), ("Fine.\nscore = 0", -2), ("Score: 1\nno, **Score: 3**", 0.4), ("Score: 4/5", 1.2)]
)
def test_a_score_of_five_lies_evenly_on_the_scale(text, score):
    assert read_reply(text, FIVE).score == pytest.approx(score)


@pytest.mark.parametrize("text", ["Score: 6", "Score: -1", "five", "Score: 10/10", "Score: 4/10", "Score: 5 / 50"])
def test_what_is_beyond_five_is_none(text):
    assert read_reply(text, FIVE).score is None


@pytest.mark.parametrize(
    ("text", "score"), [(" -2", -2), ("+1.", 1), ("−1 because", -1), ("0.5", 0.5), ("–2", -2), ("**‑1**", -1)]
)
def test_a_plain_number_comes_first(text, score):
    assert read_reply(text, BRIEF).score == score


@pytest.mark.parametrize("text", ["", "score 2", "12", "3", "2024", "- 2", "– 2"])
def test_a_number_that_is_no_score_is_none(text):
    assert read_reply(text, BRIEF).score is None


@pytest.mark.parametrize(("said", "better"), [("A", "first"), ("b.", "second"), ("Tie", "tie")])
def test_a_choice_between_two(said, better):
    assert read_reply(json.dumps({"better": said}), PAIR).better == better


def test_no_choice_is_malformed():
    assert "neither A, B nor a tie" in read_reply('{"better": "both"}', PAIR).reason


@given(st.text(max_size=200))
def test_whatever_comes_back_is_a_score_on_the_scale_or_a_reason(text):
    for prompt in (SINGLE, PAIR, DIMENSIONS, FIVE, BRIEF):
        found = read_reply(text, prompt, NAMES)
        assert found.is_malformed or found.cannot_tell or found.better is not None or -2 <= found.score <= 2
