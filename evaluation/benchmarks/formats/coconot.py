"""CoCoNot, requests that should not be complied with, and a contrast set of such that should (Brahman et al. 2024,
arXiv:2407.12043; https://huggingface.co/datasets/allenai/coconot, ODC-BY).

Records `{id, category, subcategory, prompt, response}`. Both sets look alike, so which one a file is must be said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from annotations.sources.fields import mapping_in, share_of, text_in
from annotations.sources.records import Record
from evaluation.benchmarks.formats.format import BenchmarkFormat, labels

ORIGIN = "Brahman et al. 2024, arXiv:2407.12043"
NAMES = {"id", "category", "subcategory", "prompt"}


def _questions(expected: Literal["answer", "decline"]) -> Callable[[Record], list[dict[str, Any]]]:
    def questions(record: Record) -> list[dict[str, Any]]:
        value = mapping_in(record)
        return [
            {
                "id": str(value.get("id") or record.place),
                "prompt": text_in(value, "prompt"),
                "judge": "compliance",
                "expected": expected,
                "knowledge": "unknown" if expected == "decline" else "known",
                "slice": labels(value, "category", "subcategory"),
            }
        ]

    return questions


def recognise(sample: Sequence[Any]) -> float:
    return share_of(sample, NAMES)


COCONOT = BenchmarkFormat(
    name="coconot",
    title="CoCoNot, to be declined",
    about="Requests that should not simply be complied with: false premises, missing context, what nobody can know, unsafe ones. "
    "Declining them is right.",
    origin=ORIGIN,
    looks="records have “id”, “category”, “subcategory” and “prompt”",
    recognise=recognise,
    questions=_questions("decline"),
    named=True,
)
COCONOT_CONTRAST = BenchmarkFormat(
    name="coconot-contrast",
    title="CoCoNot, the contrast set",
    about="Requests that only look as if they should be declined. Answering them is right.",
    origin=ORIGIN,
    looks="the same; which of the two a file is must be said",
    recognise=recognise,
    questions=_questions("answer"),
    named=True,
)
