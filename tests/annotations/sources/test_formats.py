"""What each format's records become."""

import csv

import orjson
import pytest

from annotations.sources.formats import FORMATS
from annotations.sources.formats.mapping import paths_in, steps_of, suggested, value_at
from annotations.sources.reading import SourceError, file_hash, open_source, tuples_in
from annotations.sources.records import Converted, Record, Refused
from tests.annotations.sources.records import CHAT, RECORDS, SAID, completion, hh, json_lines


def read(name, record, **settings):
    chosen = FORMATS[name]
    return chosen.convert(Record(1, record), chosen.settings(**settings))


def said(converted):
    assert isinstance(converted, Converted)
    return [(one["prompt"], one["answer"]) for one in converted.tuples]


def refused(tmp_path, name, record, **settings):
    """What is wrong with a record, as "field: reason"."""
    (one,) = open_source(json_lines(tmp_path / "one.jsonl", record), source_format=name, settings=settings).read()
    found = tuples_in(one) if isinstance(one, Converted) else one
    assert isinstance(found, Refused), one
    return f"{found.problem.field}: {found.problem.reason}"


@pytest.mark.parametrize("name", RECORDS)
def test_each_format_is_recognised_and_gives_tuples_that_can_be_imported(name, tmp_path):
    source = open_source(json_lines(tmp_path / "some.jsonl", *[RECORDS[name]] * 3))

    assert source.format.name == name, source.recognised
    assert source.recognised[0].reason == FORMATS[name].looks
    read = list(source.read())
    assert [one.place for one in read] == [1, 2, 3]
    assert all(isinstance(tuples_in(one), list) for one in read)
    assert all(one.ranks is None or len(one.ranks) == len(one.tuples) for one in read)


def test_every_format_but_the_mapping_has_a_record_here():
    assert set(FORMATS) - set(RECORDS) == {"mapping"}


def test_truthfulqa_gives_every_true_and_false_answer_marked_as_a_benchmark():
    one = read("truthfulqa", RECORDS["truthfulqa"])

    assert [(each["answer"], each["reward"]) for each in one.tuples] == [
        ("Nothing happens", 2),
        ("I have no comment", 0),
        ("Little", 2),
        ("You die", -2),
        ("You get sick", -2),
    ]
    assert one.ranks == [1, 1, 1, 2, 2] and one.ranker == "TruthfulQA"
    assert {each["metadata"]["benchmark"] for each in one.tuples} == {"TruthfulQA"}
    assert one.tuples[0]["gold_answer"] == ["Nothing happens", "I have no comment", "Little"]


def test_truthfulqa_gives_the_best_answers_alone_and_without_scores_where_asked():
    one = read("truthfulqa", RECORDS["truthfulqa"], answers="best", scored=False)

    assert [each["answer"] for each in one.tuples] == ["Nothing happens", "You die"]
    assert one.ranks == [1, 2] and all("reward" not in each for each in one.tuples)


def test_truthfulqa_is_the_same_as_it_is_on_the_hub():
    record = {name.lower().replace(" ", "_"): one for name, one in RECORDS["truthfulqa"].items()}
    record |= {name: record[name].split("; ") for name in ("correct_answers", "incorrect_answers")}

    assert FORMATS["truthfulqa"].recognise([record]) == 1
    assert read("truthfulqa", record) == read("truthfulqa", RECORDS["truthfulqa"])


def test_an_answer_that_truthfulqa_calls_both_true_and_false_is_true_and_counted():
    one = read("truthfulqa", RECORDS["truthfulqa"] | {"Incorrect Answers": "little; You die"})

    assert [each["answer"] for each in one.tuples][-1] == "You die" and one.left_out == {
        "answers that are both true and false": 1
    }


def test_truthfulqa_is_read_from_its_csv(tmp_path):
    with (tmp_path / "TruthfulQA.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(RECORDS["truthfulqa"]))
        table.writeheader()
        table.writerow(RECORDS["truthfulqa"])

    source = open_source(tmp_path / "TruthfulQA.csv")

    assert (source.format.name, source.container) == ("truthfulqa", "CSV")
    assert [len(one.tuples) for one in source.read()] == [5]


def test_what_selfaware_calls_unanswerable_is_unknown(tmp_path):
    record = {"question_id": 2, "question": "Why?", "answer": None, "answerable": False, "source": "quora"}
    (tmp_path / "selfaware.json").write_bytes(orjson.dumps({"example": [RECORDS["selfaware"], record]}))

    known, unknown = (one.tuples[0] for one in open_source(tmp_path / "selfaware.json").read())

    assert (known["answer"], known["gold_answer"]) == ("Lima", ["Lima", "Lima, Peru"]) and "knowledge" not in known
    assert (unknown["answer"], unknown["knowledge"]) == ("I don't know.", "unknown")
    assert known["metadata"]["benchmark"] == unknown["metadata"]["benchmark"] == "SelfAware"


def test_the_honesty_rating_of_ultrafeedback_is_the_score_and_the_other_aspects_are_dimensions():
    one = read("ultrafeedback", RECORDS["ultrafeedback"])
    first, second, _ = one.tuples

    assert [each.get("reward") for each in one.tuples] == [2, -2, None]
    assert first["feedback"] == "It is 5." and first["metadata"]["source_ai"] == "llama"
    assert second["metadata"]["dimensions"] == {"helpfulness": 1, "instruction_following": 1, "truthfulness": 1}
    assert one.ranks == [1, 2, 2] and one.left_out == {"ratings that say N/A": 1}


def test_answers_of_ultrafeedback_to_different_system_prompts_are_in_no_order():
    record = RECORDS["ultrafeedback"] | {
        "completions": [completion("a", "x", "5", 3, custom_system_prompt="Be brief."), completion("b", "y", "4", 1)]
    }

    one, without = read("ultrafeedback", record), read("ultrafeedback", record, system_prompts=False)

    assert one.ranks is None and one.tuples[0]["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert without.ranks == [1, 2]


def test_a_rating_outside_of_1_to_5_is_refused_with_its_place(tmp_path):
    record = RECORDS["ultrafeedback"] | {"completions": [completion("a", "x", "5", 3), completion("b", "y", "7", 1)]}

    assert refused(tmp_path, "ultrafeedback", record) == (
        "completions.1.annotations.honesty.Rating: is no rating from 1 to 5 (7)"
    )


def test_pku_saferlhf_is_ordered_by_what_helps_or_by_what_is_safe():
    assert read("pku-saferlhf", RECORDS["pku-saferlhf"]).ranks == [1, 2]
    safer = read("pku-saferlhf", RECORDS["pku-saferlhf"], by="safer")
    assert safer.ranks == [2, 1] and safer.tuples[1]["metadata"]["is_safe"] is True
    assert safer.tuples[0]["metadata"]["source_ai"] == "Alpaca-7B"


def test_the_common_beginning_of_two_transcripts_is_the_prompt():
    one = read("hh-rlhf", RECORDS["hh-rlhf"])

    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Who?"}]
    assert said(one) == [(history, "I can't know."), (history, "Bob.")] and one.ranks == [1, 2]


def test_transcripts_that_part_earlier_are_refused(tmp_path):
    record = {"chosen": hh("Hi", "Hello", "Who?", "Bob"), "rejected": hh("Hi", "Bye", "What?", "Bob")}

    assert "parts from the other conversation before its last answer" in refused(tmp_path, "hh-rlhf", record)


IMPLICIT = {"chosen": [*CHAT[:2], CHAT[2]], "rejected": [*CHAT[:2], {"role": "assistant", "content": "Bob."}]}


@pytest.mark.parametrize(
    ("record", "prompt", "answers"),
    [
        (RECORDS["preference"], "Who?", ["I don't know.", "Bob."]),
        ({"chosen": "The sky is blue.", "rejected": "The sky is green."}, "The sky is", [" blue.", " green."]),
        (IMPLICIT, CHAT[:2], ["I don't know.", "Bob."]),
        (
            IMPLICIT | {"prompt": "Who won?", "prompt_id": "x", "messages": CHAT, "score_chosen": 8.0},
            CHAT[:2],
            ["I don't know.", "Bob."],
        ),
        (
            {"prompt": CHAT[1:2], "chosen": CHAT[2:], "rejected": [CHAT[2] | {"content": "Bob."}]},
            "Who won?",
            ["I don't know.", "Bob."],
        ),
        ({"system": "Be honest.", "question": "Who won?", "chosen": "?", "rejected": "!"}, CHAT[:2], ["?", "!"]),
        ({"input": "Q", "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}}, "Q", ["a", "b"]),
    ],
    ids=["text", "implicit text", "implicit messages", "binarized UltraFeedback", "messages", "Orca pairs", "ShareGPT turns"],
)
def test_preference_pairs_in_all_their_forms(record, prompt, answers):
    one = read("preference", record)

    assert said(one) == [(prompt, answer) for answer in answers] and one.ranks == [1, 2]


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"prompt": "Q", "chosen": "a", "rejected": "a"}, "rejected: is the same as the chosen answer"),
        ({"prompt": "Q", "chosen": "a", "rejected": ""}, "rejected: is empty"),
        ({"prompt": "Q", "chosen": "a"}, "rejected: is missing"),
        (
            {"prompt": "Q", "chosen": "a", "rejected": CHAT},
            "rejected: is not of the same kind as the chosen answer (text, or messages)",
        ),
        ({"chosen": "a", "rejected": "b"}, "prompt: is missing, and the two answers do not begin alike"),
        ({"prompt": "Q", "chosen": 5, "rejected": "b"}, "chosen: is not text"),
    ],
)
def test_pairs_that_say_nothing_are_refused(record, problem, tmp_path):
    assert refused(tmp_path, "preference", record) == problem


def test_the_last_or_every_answer_of_a_conversation_is_taken():
    last, every = (read("sharegpt", RECORDS["sharegpt"], turns=which) for which in ("last", "all"))

    assert said(last)[0][1] == "I don't know." and len(said(last)[0][0]) == 3
    assert [(len(prompt), answer) for prompt, answer in said(every)] == [(2, "Hello."), (3, "I don't know.")]
    assert said(every)[0][0] == "Hi"


def test_turns_without_text_are_left_out_and_counted_and_unknown_speakers_refused(tmp_path):
    one = read("sharegpt", {"conversations": [*SAID[:1], {"from": "gpt", "value": " "}, *SAID[1:2]]})

    assert said(one) == [("Hi", "Hello.")] and one.left_out == {"messages without text": 1}
    assert "by somebody unknown (martian)" in refused(
        tmp_path, "sharegpt", {"conversations": [{"from": "martian", "value": "x"}]}
    )
    assert "has no answer by the assistant" in refused(tmp_path, "sharegpt", {"conversations": SAID[:1]})


def test_chat_messages_may_have_parts_and_only_text_is_read(tmp_path):
    parts = [{"type": "text", "text": "Who"}, {"type": "text", "text": "won?"}]
    image = [{"type": "image_url", "image_url": {"url": "x"}}]

    assert said(read("openai", {"messages": [{"role": "user", "content": parts}, CHAT[2]]})) == [("Who\nwon?", "I don't know.")]
    assert "such as an image" in refused(tmp_path, "openai", {"messages": [{"role": "user", "content": image}, CHAT[2]]})
    assert read("openai", RECORDS["openai"]).tuples[0]["metadata"] == {"source_ai": "gpt-x"}


def test_preferred_output_is_ordered():
    one = read(
        "openai",
        {"input": {"messages": CHAT[1:2]}, "preferred_output": CHAT[2:], "non_preferred_output": [CHAT[2] | {"content": "Bob"}]},
    )

    assert said(one) == [("Who won?", "I don't know."), ("Who won?", "Bob")] and one.ranks == [1, 2]


def test_instructions_take_their_input_and_what_the_system_is_told():
    assert said(read("alpaca", RECORDS["alpaca"])) == [("Translate.\n\nHaus", "house")]
    assert "metadata" not in read("alpaca", RECORDS["alpaca"]).tuples[0]
    history = read("alpaca", {"instruction": "And?", "input": "", "output": "x", "history": [["a", "b"]]})
    assert [one["content"] for one in history.tuples[0]["prompt"]] == ["a", "b", "And?"]
    assert said(read("openorca", RECORDS["openorca"]))[0][0][0] == {"role": "system", "content": "You are an AI."}
    assert said(read("self-instruct", RECORDS["self-instruct"])) == [("Translate.\n\nHaus", "house"), ("Translate.", "nothing")]


LOG = {
    "request": {"model": "agent-1", "messages": CHAT[:2]},
    "response": {"choices": [{"message": {"content": "I don't know."}}]},
    "user id": "u7",
    "stars": 4,
    "when": "2026-01-02T03:04:05Z",
}


def test_a_log_is_read_by_a_mapping():
    fields = {
        "prompt": "request.messages",
        "answer": "response.choices[0].message.content",
        "source_ai": "request.model",
        "reward": "stars",
        "metadata.who": '["user id"]',
        "update_timestamp": "when",
    }

    (one,) = read("mapping", LOG, fields=fields, lowest=1, highest=5, keep=True).tuples

    assert (one["prompt"], one["answer"], one["reward"]) == (CHAT[:2], "I don't know.", 1.0)
    assert one["metadata"] == {"source_ai": "agent-1", "who": "u7", "update_timestamp": "2026-01-02T03:04:05Z", "record": LOG}


def test_empty_cells_are_absent_in_a_mapping(tmp_path):
    file = tmp_path / "log.csv"
    file.write_text("q,a,stars,note,by\nWhy?,So.,,,\nWhy?,So!,4,fine,ann\n")
    fields = {"prompt": "q", "answer": "a", "reward": "stars", "feedback": "note", "rater": "by"}

    found = list(open_source(file, source_format="mapping", settings={"fields": fields, "lowest": 1, "highest": 5}).read())

    assert found[0].tuples == [{"prompt": "Why?", "answer": "So.", "metadata": {}}]
    assert found[1].tuples[0]["reward"] == 1.0 and found[1].tuples[0]["metadata"] == {"rater": "ann"}


@pytest.mark.parametrize("settings", [{"lowest": 1}, {"highest": 5}, {"lowest": 2, "highest": 2}])
def test_half_a_scale_is_refused_and_never_left_unused(settings, tmp_path):
    file = json_lines(tmp_path / "log.jsonl", LOG)

    with pytest.raises(SourceError, match=r"^lowest and highest are"):
        open_source(file, source_format="mapping", settings=settings)


def test_who_scored_is_a_name_and_no_object(tmp_path):
    fields = {"prompt": "request.messages", "answer": "response.choices[0].message.content", "rater": "request"}

    assert refused(tmp_path, "mapping", LOG, fields=fields) == "request: is not text"


def test_a_mapping_is_proposed_from_what_fields_are_usually_called_and_works():
    proposed = suggested([LOG])

    assert proposed == {
        "prompt": "request.messages",
        "answer": "response.choices[0].message.content",
        "source_ai": "request.model",
    }
    assert said(read("mapping", LOG, fields=proposed)) == [(CHAT[:2], "I don't know.")]
    assert suggested([]) == suggested([5]) == {}


def test_the_paths_of_a_record_are_listed_and_each_leads_somewhere():
    paths = paths_in([LOG])

    assert {'["user id"]', "request.messages[-1].content", "response.choices[-1].message.content"} <= set(paths)
    assert all(value_at(LOG, steps_of(path)) is not None for path in paths)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a.b[-1].c", ["a", "b", -1, "c"]),
        ("messages[:-1]", ["messages", slice(None, -1)]),
        ('["a.b"].c', ["a.b", "c"]),
        ("a['x y'][2]", ["a", "x y", 2]),
    ],
)
def test_paths_are_read(path, steps):
    assert steps_of(path) == steps


@pytest.mark.parametrize("path", ["", "a[", "a[x]", "[]", "a..b", 'a["]'])
def test_what_is_no_path_is_refused_in_words(path, tmp_path):
    with pytest.raises(SourceError) as told:
        open_source(
            json_lines(tmp_path / "a.jsonl", LOG), source_format="mapping", settings={"fields": {"prompt": path, "answer": "a"}}
        )
    assert "path" in str(told.value) and told.value.where == "fields"


def test_a_path_that_leads_nowhere_refuses_the_record(tmp_path):
    fields = {"prompt": "request.messages[9].content", "answer": "stars"}

    assert refused(tmp_path, "mapping", LOG, fields=fields) == "request.messages[9].content: is missing"
    assert "without a mapping" in refused(tmp_path, "mapping", LOG)


def test_tuples_in_a_table_of_text_are_tuples(tmp_path):
    (tmp_path / "rows.csv").write_text(
        "prompt,answer,reward,source_ai,metadata.confidence_score,knowledge,note\nQ,A,−1,gpt,0.5,,x\n"
        '"[{""role"": ""user"", ""content"": ""Q""}]",A,,,,,\nQ,A,good,,,,\n'
    )

    first, second, third = open_source(tmp_path / "rows.csv").read()

    assert first.tuples[0] == {
        "prompt": "Q",
        "answer": "A",
        "reward": -1,
        "note": "x",
        "metadata": {"source_ai": "gpt", "confidence_score": 0.5},
    }
    assert second.tuples[0] == {"prompt": [{"role": "user", "content": "Q"}], "answer": "A"}
    assert third.problem.field == "reward"
    assert all(isinstance(tuples_in(one), list) for one in (first, second))


def test_a_record_with_one_wrong_tuple_is_refused_whole_and_says_which(tmp_path):
    record = RECORDS["self-instruct"] | {"instances": [{"input": "", "output": "x"}, {"input": "", "output": ""}]}

    assert refused(tmp_path, "self-instruct", record) == "instances.1.output: is empty"


def test_what_is_no_format_is_told_with_the_fields_that_are_there(tmp_path):
    with pytest.raises(SourceError, match=r"no format is recognised\. The first record has: foo, bar"):
        open_source(json_lines(tmp_path / "a.jsonl", {"foo": 1, "bar": 2}))
    with pytest.raises(SourceError, match="There is no format “nonsense”"):
        open_source(json_lines(tmp_path / "a.jsonl", {"foo": 1}), source_format="nonsense")
    with pytest.raises(SourceError, match="Input should be 'all' or 'best'"):
        open_source(json_lines(tmp_path / "a.jsonl", {"foo": 1}), source_format="truthfulqa", settings={"answers": "some"})
    with pytest.raises(SourceError, match="permitted"):
        open_source(json_lines(tmp_path / "a.jsonl", {"foo": 1}), source_format="tuples", settings={"colour": "red"})


def test_a_file_is_known_again_by_its_bytes(tmp_path):
    one, other = (json_lines(tmp_path / name, {"a": 1}) for name in ("a.jsonl", "b.jsonl"))

    assert file_hash(one) == file_hash(other) and len(file_hash(tmp_path)) == 64
    before = file_hash(tmp_path)
    json_lines(other, {"a": 2})
    assert file_hash(tmp_path) != before


def test_reading_goes_on_where_it_was(tmp_path):
    source = open_source(
        json_lines(tmp_path / "a.jsonl", *[RECORDS["tuples"] | {"prompt": str(n)} for n in range(9)], "no object")
    )
    whole = list(source.read())

    assert [one.place for one in source.read(skip=4)] == [one.place for one in whole[4:]] == [5, 6, 7, 8, 9, 10]
    assert isinstance(whole[-1], Refused)


@pytest.mark.parametrize(
    "responses",
    [
        {"honesty": [{"value": "2", "status": "submitted"}, {"value": "-1", "status": "submitted"}]},
        [
            {"status": "submitted", "values": {"honesty": {"value": "2"}}},
            {"status": "submitted", "values": {"honesty": {"value": "-1"}}},
        ],
    ],
    ids=["by question", "by person"],
)
def test_answers_of_people_whom_an_argilla_export_does_not_name_are_kept_apart(responses):
    converted = read("argilla", {"id": "1", "fields": {"prompt": "Who?", "response": "Me"}, "responses": responses})

    assert isinstance(converted, Converted)
    assert [(one["metadata"]["rater"], one["reward"]) for one in converted.tuples] == [
        ("argilla:somebody", 2),
        ("argilla:somebody-2", -1),
    ]


def test_a_scorecards_answers_keep_their_labels(tmp_path):
    rows = [
        {"id": "1", "entity": "e", "prompt": "Who?", "answer": "Ada.", "gold_answer": "Ada", "verdict": "correct", **known}
        for known in ({"known": True, "knowledge_source": "gold"}, {"known": False}, {"known": None}, {})
    ]
    read = open_source(json_lines(tmp_path / "answers.jsonl", *rows)).read()
    assert [one.tuples[0].get("knowledge") for one in read] == ["known", "unknown", None, None]
