"""Exports of Argilla 1.x and 2.x are read: every submitted answer and every suggestion is a score, drafts are none."""

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotations.sources.class_labels import class_labels, with_names
from annotations.sources.format import Unreadable
from annotations.sources.formats.argilla import ArgillaSettings, convert, recognise
from annotations.sources.reading import open_source, tuples_in
from annotations.sources.records import Converted, Record, Refused
from annotations.tuples import Problem
from tests.argilla.test_traps import sdk, sdk_dataset  # noqa: F401

FIELDS = {"prompt": "Who wrote Ulysses?", "answer": "Joyce."}


def read(value, **settings):
    try:
        return convert(Record(1, value), ArgillaSettings(**settings))
    except Unreadable as error:
        return Refused(1, Problem(field=error.where, reason=str(error)))


def scores(converted):
    assert isinstance(converted, Converted), converted
    return sorted(
        (one["metadata"]["rater"], one["reward"], one.get("feedback", "")) for one in converted.tuples if "reward" in one
    )


SERVER = {
    "id": "r", "fields": FIELDS, "external_id": "e", "metadata": {"split": "a"},
    "responses": [
        {"user_id": "u1", "status": "submitted", "updated_at": "2026-01-02T03:04:05",
         "values": {"overall": {"value": "-1"}, "critique": {"value": "No."}}},
        {"user_id": "u2", "status": "draft", "values": {"overall": {"value": "2"}}},
        {"user_id": "u3", "status": "discarded", "values": None},
    ],
    "suggestions": [{"question_name": "teacher-judge", "value": "1", "agent": "judge"}],
}  # fmt: skip
JSON_2 = {
    "id": "e", "status": "completed", "fields": FIELDS, "metadata": {"split": "a"}, "vectors": {}, "_server_id": "r",
    "suggestions": {"overall": {"value": "1", "score": None, "agent": "judge"}},
    "responses": {"overall": [{"value": "-1", "user_id": "u1"}], "critique": [{"value": "No.", "user_id": "u1"}]},
}  # fmt: skip
FLAT_2 = {
    "id": "e", "status": "pending", "_server_id": "r", **FIELDS, "split": "a",
    "overall.responses": ["-1", "2"], "overall.responses.users": ["u1", "u2"], "overall.responses.status": ["submitted", "draft"],
    "critique.responses": ["No."], "critique.responses.users": ["u1"], "critique.responses.status": ["submitted"],
    "overall.suggestion": "1", "overall.suggestion.agent": "judge", "overall.suggestion.score": None,
}  # fmt: skip
ROWS_1 = {
    **FIELDS, "metadata": '{"split": "a"}', "external_id": "e",
    "overall": [{"user_id": "u1", "value": "-1", "status": "submitted"}, {"user_id": "u2", "value": "2", "status": "draft"}],
    "critique": [{"user_id": "u1", "value": "No.", "status": "submitted"}],
    "overall-suggestion": "1", "overall-suggestion-metadata": {"type": "model", "score": None, "agent": "judge"},
}  # fmt: skip
COLUMNS_1 = ROWS_1 | {
    "overall": {"user_id": ["u1", "u2"], "value": ["-1", "2"], "status": ["submitted", "draft"]},
    "critique": {"user_id": ["u1"], "value": ["No."], "status": ["submitted"]},
}
LAYOUTS = {"server": SERVER, "2.x json": JSON_2, "2.x flat": FLAT_2, "1.x rows": ROWS_1, "1.x columns": COLUMNS_1}


@pytest.mark.parametrize("value", LAYOUTS.values(), ids=LAYOUTS)
def test_each_layout_gives_the_answer_with_its_reason_and_the_suggestion(value):
    assert recognise([value]) == 1
    converted = read(value)
    assert scores(converted) == [("argilla:u1", -1, "No."), ("judge", 1, "")]
    for one in converted.tuples:
        assert (one["prompt"], one["answer"], one["metadata"]["split"]) == (FIELDS["prompt"], FIELDS["answer"], "a")


def test_what_is_no_score_is_counted_and_not_silently_gone():
    assert read(SERVER).left_out == {"draft answers": 1, "discarded answers": 1}
    assert read(SERVER).tuples[0]["metadata"]["update_timestamp"] == "2026-01-02T03:04:05"
    pending = JSON_2 | {"status": "pending"}
    assert read(pending).left_out == {"answers of which the export does not say whether they were submitted": 1}
    assert len(scores(read(pending, take_unsure=True))) == 2


def test_an_answer_that_could_not_verify_is_no_zero():
    value = SERVER | {
        "responses": [{"user_id": "u", "status": "submitted", "values": {"overall": {"value": "cannot_verify"}}}],
        "suggestions": [],
    }
    converted = read(value)
    assert converted.left_out == {"answers that could not verify": 1}
    assert [("reward" in one) for one in converted.tuples] == [False]


def test_a_record_that_nobody_answered_is_an_item_without_a_score():
    converted = read({"fields": FIELDS, "responses": [], "suggestions": []})
    assert converted.tuples == [FIELDS]


def test_a_rating_needs_to_be_told_what_it_means():
    rated = SERVER | {
        "responses": [{"user_id": "u", "status": "submitted", "values": {"overall": {"value": 5}}}],
        "suggestions": [],
    }
    refused = read(rated)
    assert isinstance(refused, Refused)
    assert "which rating means −2" in refused.problem.reason
    assert scores(read(rated, lowest_rating=1)) == [("argilla:u", 2, "")]
    assert isinstance(read(rated, lowest_rating=0), Refused)
    assert scores(read(rated, labels=["2", "1", "0", "-1", "-2", "+1 partly"])) == [("argilla:u", 1, "")]


def test_text_records_of_1_x():
    asked = {"text": "Who?", "annotation": "Joyce.", "annotation_agent": "ann", "prediction": None, "metadata": None}
    assert read(asked).tuples == [{"prompt": "Who?", "answer": "Joyce."}]
    labelled = {
        "inputs": FIELDS,
        "annotation": "-2",
        "annotation_agent": "ann",
        "prediction": [["1", 0.9]],
        "prediction_agent": "m",
    }
    assert recognise([labelled]) > 0.9
    assert scores(read(labelled)) == [("argilla:ann", -2, ""), ("argilla:m", 1, "")]


def test_chat_fields_are_messages():
    value = {"fields": {"prompt": [{"role": "user", "content": "Hi"}], "answer": "Hello."}, "responses": []}
    assert read(value).tuples[0]["prompt"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    "value",
    [
        None, 3, [], "x", {}, {"fields": {}}, {"fields": {"prompt": 3, "answer": "x"}}, {"fields": FIELDS, "responses": 3},
        {"fields": FIELDS, "responses": [3]}, {"fields": FIELDS, "responses": [{"values": [1]}]},
        {"fields": FIELDS, "responses": {"overall": [3]}}, {"fields": FIELDS, "responses": {"overall": 3}},
        SERVER | {"responses": [{"status": "submitted", "values": {"overall": {"value": "great"}}}]},
        SERVER | {"responses": [{"status": "submitted", "values": {"overall": {"value": [1]}}}]},
        SERVER | {"responses": [{"status": "submitted", "values": {"overall": {"value": "7"}}}]},
        FLAT_2 | {"overall.responses": 3}, FLAT_2 | {"overall.responses.users": "u1"},
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_in_words(value):
    refused = read(value)
    assert isinstance(refused, Refused)
    assert refused.problem.reason


def test_a_named_field_that_is_not_there_is_named():
    refused = read(SERVER, answer="completion")
    assert isinstance(refused, Refused)
    assert (refused.problem.field, refused.problem.reason) == ("completion", "is missing")


@pytest.mark.django_db
@pytest.mark.full
def test_what_the_real_server_and_its_sdk_write_is_read(sdk, place, items, tmp_path):  # noqa: F811
    place.answer("zoe", items[0], overall="-2", critique="No.")
    place.answer("yan", items[0], overall="1")
    place.answer("zoe", items[1], status="draft", overall="2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with sdk_dataset(sdk, place) as dataset:
            flat = dataset.records(with_responses=True).to_list(flatten=True)
            dataset.records(with_responses=True).to_json(tmp_path / "records.json")
            rows = dataset.records(with_responses=True).to_datasets()
            rows.to_parquet(tmp_path / "records.parquet")
    wanted = {f"argilla:{place.annotator(name).user_id}": reward for name, reward in (("zoe", -2), ("yan", 1))}

    def taken(values, **settings):
        return {who: reward for value in values for who, reward, _ in scores(read(value, **settings))}

    assert taken(json.loads(json.dumps(flat, default=str))) == wanted
    assert taken(place.records()) == wanted
    nested = json.loads((tmp_path / "records.json").read_text())
    assert taken(nested) == {}, "it does not say that one of them was a draft"
    assert len(taken(nested, take_unsure=True)) == 2
    import pyarrow.parquet as pq

    stored = pq.read_table(tmp_path / "records.parquet").to_pylist()
    assert taken(stored) == wanted


@pytest.mark.django_db
def test_labels_that_an_export_has_numbered_are_read_by_their_names(sdk, make_place, tmp_path):  # noqa: F811
    twice = [{**FIELDS, "prompt": str(reward), "reward": reward, "metadata": {"rater": "judge"}} for reward in (2.0, -1.0)]
    place = make_place(tuples=twice)
    place.push()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with sdk_dataset(sdk, place) as dataset:
            dataset.records(with_suggestions=True).to_datasets().to_parquet(tmp_path / "records.parquet")
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "records.parquet")
    numbered = {one["teacher-judge.suggestion"] for one in table.to_pylist()}
    assert numbered == {0, 1}, "numbers over the labels that occur, in an order of their own"
    names = class_labels(table.schema.metadata)
    rows = [read(with_names(one, names)) for one in table.to_pylist()]
    assert {(one.tuples[0]["prompt"][0]["content"], scores(one)[0][1]) for one in rows} == {("2.0", 2), ("-1.0", -1)}
    assert isinstance(read(table.to_pylist()[0]), Refused), "and never taken for scores without their names"
    source = open_source(tmp_path / "records.parquet")
    assert source.format.name == "argilla"
    assert sorted(tuples_in(one)[0].reward for one in source.read()) == [-1, 2]


@pytest.mark.parametrize(
    "metadata", [None, {}, {b"huggingface": b"{"}, {b"huggingface": b"[]"}, {b"huggingface": b'{"info": {"features": 3}}'}]
)
def test_files_without_label_names_have_none(metadata):
    assert class_labels(metadata) == {}


@pytest.mark.parametrize("value", LAYOUTS.values(), ids=LAYOUTS)
def test_a_file_in_each_layout_is_recognised_and_its_tuples_are_valid(value, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_text(json.dumps(value) + "\n")
    source = open_source(path)
    assert source.format.name == "argilla"
    [converted] = source.read()
    assert [one.reward for one in tuples_in(converted)] in ([-1, 1], [1, -1])


PIECES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats()
    | st.sampled_from(["", "2", "-1", "nan", "cannot_verify", "submitted", "ü\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "status", "user_id", "values", "agent"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.sampled_from(list(LAYOUTS.values())), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_damaged_each_record_is_converted_or_refused(layout, data):
    damaged = dict(layout)
    for name in data.draw(st.lists(st.sampled_from(sorted(layout)), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            damaged[name] = data.draw(PIECES)
        else:
            damaged.pop(name, None)
    assert 0 <= recognise([damaged]) <= 1
    for chosen in ({}, {"lowest_rating": 1}, {"labels": ["2", "1"]}, {"take_unsure": True}):
        assert isinstance(read(damaged, **chosen), (Converted, Refused))
