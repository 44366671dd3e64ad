"""SimpleQA (Wei et al. 2024, arXiv:2411.04368; https://github.com/openai/simple-evals, MIT).

Columns `metadata` (a Python dictionary as text: topic, answer_type, urls), `problem`, `answer`. SimpleQA Verified has `topic` and
`answer_type` as columns of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from annotations.sources.fields import mapping_in, share_of, text_in
from annotations.sources.records import Record
from evaluation.benchmarks.formats.format import BenchmarkFormat, labels

MOST_METADATA = 20_000


def questions(record: Record) -> list[dict[str, Any]]:
    value = mapping_in(record)
    return [
        {
            "id": str(value.get("original_index", record.place)),
            "prompt": text_in(value, "problem"),
            "gold_answer": text_in(value, "answer"),
            "slice": labels({**_metadata(value), **value}, "topic", "answer_type"),
        }
    ]


def _metadata(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the column holds; nothing where it is no dictionary: it is only there to slice by."""
    found = value.get("metadata")
    if isinstance(found, str) and len(found) < MOST_METADATA:
        try:
            found = ast.literal_eval(found)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return {}
    return found if isinstance(found, Mapping) else {}


def recognise(sample: Sequence[Any]) -> float:
    return share_of(sample, {"problem", "answer"}) * (
        1.0 if share_of(sample, {"metadata"}) or share_of(sample, {"topic"}) else 0.6
    )


SIMPLEQA = BenchmarkFormat(
    name="simpleqa",
    title="SimpleQA",
    about="Short questions of fact with one right answer.",
    origin="Wei et al. 2024, arXiv:2411.04368",
    looks="columns “problem”, “answer” and “metadata” or “topic”",
    recognise=recognise,
    questions=questions,
)
