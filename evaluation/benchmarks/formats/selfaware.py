"""SelfAware (Yin et al. 2023, arXiv:2305.18153; https://github.com/yinzhangyue/SelfAware)."""

from __future__ import annotations

from typing import Any

from annotations.sources.formats.selfaware import SelfAwareSettings, convert
from annotations.sources.formats.selfaware import recognise as recognise_records
from annotations.sources.records import Record
from evaluation.benchmarks.formats.format import BenchmarkFormat, labels


def questions(record: Record) -> list[dict[str, Any]]:
    """What can be answered counts as known, as in the paper: declining it is over-cautious."""
    [one] = convert(record, SelfAwareSettings()).tuples
    value = one["metadata"]
    return [
        {
            "id": str(value.get("question_id", record.place)),
            "prompt": one["prompt"],
            "knowledge": "known" if value["answerable"] else "unknown",
            "slice": labels(value, "source"),
        }
        | ({"gold_answer": one["gold_answer"]} if value["answerable"] else {})
    ]


SELFAWARE = BenchmarkFormat(
    name="selfaware",
    title="SelfAware",
    about="Questions that can be answered, and questions that nobody can. What can be answered counts as known.",
    origin="Yin et al. 2023, arXiv:2305.18153",
    looks="records have “question”, “answer” and “answerable”",
    recognise=recognise_records,
    questions=questions,
)
