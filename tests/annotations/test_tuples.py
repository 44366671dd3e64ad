"""The tuple schema, the gate and fusion, with inputs that nobody thought of."""

import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotations.dataset_files import SplitSettings, assign_splits
from annotations.fusion import Given, consensus, fuse
from annotations.gate import Gate, GateSettings
from annotations.rubric import Rubric, load_rubric, rubric_names
from annotations.tuples import Problem, RlwhfTuple, content_hash, parse_line, parse_tuple
from annotations.verdicts import Verdict

words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1).filter(str.strip)
plain = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), words)
extras = st.dictionaries(
    st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), st.one_of(plain, st.lists(plain), st.dictionaries(words, plain)), max_size=3
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": words}), min_size=1, max_size=4
)
rewards = st.floats(-2, 2).map(lambda value: value + 0.0)


@st.composite
def tuples(draw):
    known = {
        "prompt": draw(st.one_of(words, messages)),
        "answer": draw(words),
        "feedback": draw(st.one_of(st.just(""), words)),
        "reward": draw(st.one_of(rewards, st.integers(-2, 2))),
        "metadata": {"confidence_score": draw(st.floats(0, 1)), "iteration_count": draw(st.integers(0, 99)), **draw(extras)},
    }
    return known | draw(extras)


@given(tuples())
def test_a_tuple_written_and_read_again_is_the_same_with_every_unknown_field(document):
    parsed = parse_tuple(document)
    assert isinstance(parsed, RlwhfTuple)
    written = parsed.document()
    assert written == document
    assert parse_line(orjson.dumps(written)) == parsed


@given(st.one_of(plain, st.lists(plain), st.dictionaries(words, plain), st.binary()))
def test_nonsense_is_refused_with_a_reason_and_never_raises(value):
    parsed = parse_line(value if isinstance(value, bytes) else orjson.dumps(value))
    assert isinstance(parsed, Problem) and parsed.reason


@given(st.lists(tuples(), max_size=8))
def test_the_gate_accounts_for_everything_it_saw(documents):
    gate = Gate()
    kept = [gate.document(one, "x") for one in documents]
    report = gate.report()
    assert report.seen == len(documents) == report.valid + sum(report.drops.values())
    assert report.valid == sum(one is not None for one in kept)
    assert [one for one in documents if gate.document(one, "x") is not None] == []  # all are duplicates by now


@pytest.mark.parametrize(
    ("bad", "force", "verdict"),
    [
        (0, False, "pass"),
        (5, False, "pass"),
        (6, False, "warn"),
        (10, False, "warn"),
        (11, False, "refused"),
        (11, True, "forced"),
        (100, True, "refused"),
    ],
)
def test_under_95_percent_warns_and_under_90_refuses(bad, force, verdict):
    gate = Gate(GateSettings(force=force))
    for number in range(100):
        gate.document({"prompt": f"p{number}", "answer": "a", "reward": 9 if number < bad else 1}, f"line {number}")
    assert gate.report().verdict == verdict


@pytest.mark.parametrize(
    ("fields", "settings", "reason"),
    [
        ({"reward": None}, {}, "reward: is missing"),
        ({"answer": "abcdef"}, {"max_answer_chars": 5}, "answer: is longer than 5 characters"),
        ({"prompt": "ab"}, {"min_prompt_chars": 3}, "prompt: is shorter than 3 characters"),
        ({}, {"require_confidence": True}, "metadata.confidence_score: is missing"),
        ({"metadata": {"confidence_score": 0.95}}, {"max_confidence": 0.9}, "metadata.confidence_score: is outside 0 to 0.9"),
        (
            {"prompt": [{"role": "wizard", "content": "x"}]},
            {},
            "prompt.0.role: input should be 'system', 'user', 'assistant' or 'tool'",
        ),
        ({"prompt": [{"role": "user", "content": " "}]}, {}, "prompt.0.content: is empty"),
        ({"reward": float("nan")}, {}, None),
    ],
)
def test_the_gate_says_why(fields, settings, reason):
    gate = Gate(GateSettings(**settings))
    assert gate.document({"prompt": "prompt", "answer": "a", "reward": 1, **fields}, "x") is None
    assert reason is None or list(gate.report().drops) == [reason]


@pytest.mark.parametrize(
    ("kind", "row", "passes"),
    [
        ("sft", {"prompt": "p", "response": "r"}, True),
        ("sft", {"prompt": "p"}, False),
        ("preference", {"prompt": "p", "chosen": "a", "rejected": "b"}, True),
        ("preference", {"prompt": "p", "chosen": "a", "rejected": " a "}, False),
        ("prompts", {"prompt": [{"role": "user", "content": "p"}]}, True),
        ("prompts", {"prompt": []}, False),
        ("prompts", {"prompt": 3}, False),
    ],
)
def test_rows_are_looked_at_too(kind, row, passes):
    assert Gate().row(kind, row, "x") is passes


def score(overall, kind="person", rater="r", critique=""):
    return Given(kind=kind, rater=rater, overall=overall, given_at=datetime(2024, 1, 1, tzinfo=UTC), critique=critique)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=6))
def test_a_fused_reward_lies_among_the_scores(values):
    fused = fuse([score(value) for value in values])
    assert fused and min(values) <= fused.reward <= max(values)
    assert fused.consensus is None or 0 <= fused.consensus <= 1


def test_fusion_rules():
    people = [score(-2), score(1, critique="nearly"), score(2, critique="yes, fully")]
    assert fuse(people).reward == 1 and fuse(people).feedback == "nearly"
    assert fuse([*people, score(-1, "teacher")]).reward == 1
    assert fuse([score(-1, "teacher"), score(None)]).reward == -1
    assert fuse([*people, score(-2, "gold")]).reward == -2
    assert fuse([*people, score(-2, "gold")], gold="ignored").reward == 1
    assert fuse([score(2), score(-2, "gold")], gold="weighted", gold_weight=0.75).reward == -1
    assert fuse([score(None)]) is None and fuse([]) is None
    assert fuse([score(0)]).consensus is None


def test_consensus_is_one_in_agreement_and_zero_at_opposite_ends():
    assert consensus([1, 1, 1]) == 1
    assert consensus([-2, 2]) == 0
    assert consensus([0, 1]) == 0.75


def test_content_hash_tells_prompt_answer_and_source_apart():
    prompt = [{"role": "user", "content": "p"}]
    hashes = {
        content_hash(prompt, "a", None),
        content_hash(prompt, "a", "m"),
        content_hash(prompt, "b", None),
        content_hash([], "a", None),
    }
    assert len(hashes) == 4
    assert content_hash(prompt, "a", None) == content_hash(prompt, "a", "")


@given(st.sets(st.text(max_size=5), min_size=1, max_size=50), st.integers())
def test_splits_hold_their_shares_and_do_not_depend_on_order(groups, seed):
    settings = SplitSettings(eval_share=0.2, test_share=0.1, seed=seed % 1000)
    one = assign_splits(sorted(groups), settings)
    assert one == assign_splits(sorted(groups, reverse=True), settings)
    assert sum(split == "eval" for split in one.values()) == round(len(groups) * 0.2)


@pytest.mark.parametrize("name", rubric_names())
def test_every_rubric_loads_and_names_its_file(name):
    rubric = load_rubric(name)
    assert f"{rubric.name}-{rubric.version}" == name
    assert [step.score for step in rubric.scale] == [2, 1, 0, -1, -2]


def test_the_rubric_pays_for_verdicts_as_it_says():
    rubric = load_rubric()
    paid = {verdict: rubric.score_for(verdict) for verdict in Verdict}
    assert paid == {"correct": 2, "hedged_correct": 1, "abstained": 0, "hedged_wrong": -1, "wrong": -2, "unparsable": None}


def test_a_rubric_is_known_by_its_content():
    rubric = load_rubric()
    again = Rubric.model_validate(json.loads(rubric.model_dump_json()))
    assert again.content_hash == rubric.content_hash
    assert rubric.model_copy(update={"title": "Other"}).content_hash != rubric.content_hash
