"""Questions in the form that benchmarks have here, a record each: `{id, prompt, gold_answer, knowledge, entity, slice, …}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotations.sources.fields import mapping_in, share_of
from annotations.sources.records import Record
from evaluation.benchmarks.formats.format import BenchmarkFormat

TAKEN = {"id", "prompt", "gold_answer", "knowledge", "entity", "slice", "judge", "false_answers", "choices", "expected", "scored"}


def questions(record: Record) -> list[dict[str, Any]]:
    """As it is; cells of a table that are empty count as absent, and a column `slice.topic` is part of the slice."""
    value = {str(name): one for name, one in mapping_in(record).items() if one is not None and one != ""}
    sliced = {name.removeprefix("slice."): one for name, one in value.items() if name.startswith("slice.")}
    kept = {name: one for name, one in value.items() if name in TAKEN}
    within = kept.get("slice")
    return [
        {"id": str(record.place)}
        | kept
        | ({"id": str(kept["id"])} if "id" in kept else {})
        | ({"slice": (dict(within) if isinstance(within, Mapping) else {}) | sliced} if sliced else {})
    ]


def recognise(sample: Sequence[Any]) -> float:
    return 0.9 * share_of(sample, {"prompt", "gold_answer"}) or 0.8 * share_of(sample, {"prompt", "knowledge"})


QUESTIONS = BenchmarkFormat(
    name="questions",
    title="Questions of one’s own",
    about="“prompt” and what an answer is judged by: “gold_answer” (one, or a list), “knowledge” (known or unknown), “entity”, "
    "“slice”, “judge”.",
    origin="this site",
    looks="records have “prompt”, and “gold_answer” or “knowledge”",
    recognise=recognise,
    questions=questions,
)
