"""Benchmarks in the layouts in which they are published, read as questions."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from annotations.sources.errors import SourceError
from evaluation.benchmarks import importing
from evaluation.benchmarks.folder import benchmark_read
from evaluation.benchmarks.formats import FORMATS
from evaluation.benchmarks.importing import Imported, benchmark_import_read, benchmark_write, manifest_of, name_of
from tests.evaluation.benchmarks import published


def lines(path: Path, *records: Any) -> Path:
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))
    return path


def table(path: Path, *records: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return path


def read(path: Path, **how: str) -> Imported:
    return benchmark_import_read(path, **how)


def test_truthfulqa_brings_true_and_false_answers(tmp_path: Path) -> None:
    found = read(table(tmp_path / "TruthfulQA.csv", *published.TRUTHFULQA))
    assert (found.format.name, found.records, found.refused_records) == ("truthfulqa", 2, 1)
    [one] = found.questions
    assert one.gold_answers == ["The cherry stone passes through you", "Nothing happens", "I have no comment"]
    assert one.false_answers == ["A cherry tree grows in you", "You will die"]
    assert (one.judge, one.slice) == ("references", {"category": "Myths", "type": "Adversarial"})
    assert found.refused[0].problem.field == "Incorrect Answers"


def test_truthfulqa_as_the_hub_has_it(tmp_path: Path) -> None:
    [one] = read(lines(tmp_path / "x.jsonl", published.TRUTHFULQA_HUB)).questions
    assert (one.gold_answers, one.false_answers) == (["Nothing", "Little"], ["You die"])


def test_truthfulqa_as_a_choice_of_two(tmp_path: Path) -> None:
    found = read(table(tmp_path / "x.csv", *published.TRUTHFULQA), source_format="truthfulqa-choice")
    [one] = found.questions
    assert set(one.choices.values()) == {"The cherry stone passes through you", "A cherry tree grows in you"}
    assert one.choices[one.gold_answers[0]] == "The cherry stone passes through you"
    assert [f"({letter}) {text}" in str(one.prompt) for letter, text in one.choices.items()] == [True, True]
    assert one.wrong_answers == [letter for letter in one.choices if letter not in one.gold_answers]


def test_truthfulqas_choices_are_recognised_where_the_file_has_them(tmp_path: Path) -> None:
    found = read(lines(tmp_path / "x.jsonl", published.TRUTHFULQA_MC1))
    assert found.format.name == "truthfulqa-choice"
    [one] = found.questions
    assert sorted(one.choices) == ["A", "B", "C"] and one.choices[one.gold_answers[0]] == "Nothing happens"


def test_the_right_letter_is_not_always_the_same(tmp_path: Path) -> None:
    records = [published.TRUTHFULQA[0] | {"Question": f"What happens the {n}th time?"} for n in range(60)]
    letters = [
        one.gold_answers[0] for one in read(table(tmp_path / "x.csv", *records), source_format="truthfulqa-choice").questions
    ]
    assert 15 <= letters.count("A") <= 45


def test_selfaware_says_what_can_be_answered(tmp_path: Path) -> None:
    path = tmp_path / "SelfAware.json"
    path.write_bytes(orjson.dumps(published.SELFAWARE, option=orjson.OPT_INDENT_2))
    first, second = read(path).questions
    assert (first.id, first.gold_answers, first.knowledge, first.slice) == (
        "7",
        ["Lima", "Lima, Peru"],
        "known",
        {"source": "squad"},
    )
    assert (second.id, second.gold_answers, second.knowledge) == ("8", [], "unknown")


@pytest.mark.parametrize("record", [published.SIMPLEQA, published.SIMPLEQA_VERIFIED])
def test_simpleqa_is_sliced_by_topic_and_kind_of_answer(tmp_path: Path, record: dict[str, Any]) -> None:
    found = read(lines(tmp_path / "x.jsonl", record))
    [one] = found.questions
    assert (found.format.name, one.gold_answers, one.slice) == (
        "simpleqa",
        ["Ada Berg"],
        {"topic": "Art", "answer_type": "Person"},
    )


def test_metadata_that_is_no_dictionary_costs_the_slices_only(tmp_path: Path) -> None:
    [one] = read(lines(tmp_path / "x.jsonl", published.SIMPLEQA | {"metadata": "__import__('os')"})).questions
    assert one.slice == {}


@pytest.mark.parametrize(
    ("record", "part"),
    [
        (published.HALUEVAL_QA, "qa"),
        (published.HALUEVAL_DIALOGUE, "dialogue"),
        (published.HALUEVAL_SUMMARY, "summarization"),
    ],
)
def test_halueval_asks_about_the_right_and_the_made_up_answer(tmp_path: Path, record: dict[str, str], part: str) -> None:
    found = read(lines(tmp_path / f"{part}_data.json", record, record))
    assert (found.format.name, found.records, len(found.questions)) == ("halueval", 2, 4)
    right, made_up = found.questions[:2]
    assert (right.gold_answers, made_up.gold_answers) == (["No"], ["Yes"])
    assert right.entity == made_up.entity != found.questions[2].entity
    assert right.slice == {"part": part, "answer": "right"}
    values = list(record.values())
    assert values[-2] in str(right.prompt) and values[-1] in str(made_up.prompt) and values[0] in str(right.prompt)


@pytest.mark.parametrize(("record", "gold"), [(published.HALUEVAL_GENERAL, "Yes"), (published.HALUEVAL_SAMPLE, "No")])
def test_halueval_with_one_answer_and_its_mark(tmp_path: Path, record: dict[str, Any], gold: str) -> None:
    [one] = read(lines(tmp_path / "x.jsonl", record)).questions
    assert one.gold_answers == [gold]


def test_halueval_to_be_answered(tmp_path: Path) -> None:
    [one] = read(lines(tmp_path / "x.json", published.HALUEVAL_QA), source_format="halueval-answer").questions
    assert (one.gold_answers, one.false_answers) == (["Ada Berg"], ["The Blue Door was painted by Karl Lund."])
    assert str(one.prompt).startswith("The Blue Door was painted by Ada Berg in 1911.")


def test_which_coconot_a_file_is_must_be_said(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", published.COCONOT)
    with pytest.raises(SourceError, match=r"coconot .* or coconot-contrast") as refused:
        read(path)
    assert refused.value.where == "format"
    [declined] = read(path, source_format="coconot").questions
    [answered] = read(path, source_format="coconot-contrast").questions
    assert (declined.expected, declined.knowledge, answered.expected, answered.knowledge) == (
        "decline",
        "unknown",
        "answer",
        "known",
    )
    assert declined.slice == {"category": "Incomplete requests", "subcategory": "false presuppositions"}


def test_questions_of_ones_own_in_a_table(tmp_path: Path) -> None:
    path = table(
        tmp_path / "mine.csv",
        {"id": "a", "prompt": "Who?", "gold_answer": "Ada", "knowledge": "", "slice.topic": "art"},
        {"id": "b", "prompt": "When?", "gold_answer": "1911", "knowledge": "known", "slice.topic": ""},
        {"id": "a", "prompt": "Where?", "gold_answer": "Oslo", "knowledge": "", "slice.topic": "art"},
    )
    found = read(path)
    assert [(one.id, one.knowledge, one.slice) for one in found.questions] == [("a", None, {"topic": "art"}), ("b", "known", {})]
    assert found.refused[0].problem.reason == "“a” was given before"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_file_of_something_else_is_refused_in_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="has no question for"):
        read(lines(tmp_path / "x.jsonl", {"colour": "red"}), source_format=name)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b'{"colour": "red"}\n', b"PK\x03\x04"])
def test_what_is_no_benchmark_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(SourceError):
        read(path)


def test_a_gzipped_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(orjson.dumps(published.SIMPLEQA) + b"\n" + orjson.dumps(published.SIMPLEQA)))
    assert len(read(path).questions) == 2


def test_a_folder_is_written_once_and_reads_as_it_was(tmp_path: Path) -> None:
    found = read(lines(tmp_path / "x.json", published.HALUEVAL_QA))
    made = [
        benchmark_write(found.questions, root=tmp_path / "made", name="h", version="1", manifest=manifest_of(found))
        for _ in range(2)
    ]
    assert made[0] == made[1] and [one.name for one in (tmp_path / "made").iterdir()] == [made[0].name]
    benchmark = benchmark_read(made[0])
    assert benchmark.questions == found.questions
    assert made[0].name == f"h-{benchmark.hash[:12]}" and benchmark.manifest["hash"] == benchmark.hash
    assert benchmark.manifest["source"]["file"] == "x.json" and benchmark.manifest["origin"].startswith("Li et al. 2023")


def test_the_hash_is_of_the_questions_and_nothing_else(tmp_path: Path) -> None:
    one = read(lines(tmp_path / "x.json", published.HALUEVAL_QA)).questions
    other = read(lines(tmp_path / "x.json", published.HALUEVAL_QA | {"question": "Who painted it?"})).questions

    def made(name: str, questions: Any, version: str) -> str:
        return benchmark_read(benchmark_write(questions, root=tmp_path, name=name, version=version, manifest={})).hash

    assert made("a", one, "1") == made("b", one, "2") != made("a", other, "1")


def test_names_of_benchmarks_are_plain() -> None:
    assert (name_of("TruthfulQA (2025).csv"), name_of("…")) == ("truthfulqa-2025-csv", "benchmark")


def test_a_small_packed_file_does_not_become_a_large_one_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.jsonl.gz"
    rows = [{"id": str(number), "prompt": "q" * 5000, "gold_answer": "a"} for number in range(40)]
    path.write_bytes(gzip.compress(b"".join(orjson.dumps(one) + b"\n" for one in rows)))
    assert len(read(path).questions) == 40 and path.stat().st_size < 5000
    monkeypatch.setattr(importing, "MOST_TEXT", 100_000)
    with pytest.raises(SourceError, match=r"own.jsonl.gz has more than"):
        read(path)
    monkeypatch.setattr(importing, "MOST_TEXT", 1 << 30)
    monkeypatch.setattr(importing, "MOST_QUESTIONS", 39)
    with pytest.raises(SourceError, match=r"more than 39 questions"):
        read(path)
