"""TruthfulQA (Lin, Hilton & Evans 2022, arXiv:2109.07958; https://github.com/sylinrl/TruthfulQA, Apache-2.0).

For answers in one's own words each question brings its true and its false answers. As a choice there are the two of the newer,
recommended form (the best true answer and the best false one), or all of `mc1_targets` where a file has those
({"choices": […], "labels": [1, 0, …]}, as on the Hugging Face hub).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotations.sources.fields import mapping_in, share_of, text_in, text_or_none
from annotations.sources.format import Unreadable
from annotations.sources.formats.truthfulqa import answers_in, distinct, same, with_names
from annotations.sources.formats.truthfulqa import recognise as recognise_generation
from annotations.sources.records import Record
from evaluation.benchmarks.formats.format import BenchmarkFormat, labels, lettered, shuffled, with_choices

ORIGIN = "Lin, Hilton & Evans 2022, arXiv:2109.07958"


def generation(record: Record) -> list[dict[str, Any]]:
    value = with_names(mapping_in(record))
    true = distinct([text_in(value, "Best Answer"), *answers_in(value, "Correct Answers")])
    wrong = distinct([*answers_in(value, "Best Incorrect Answer"), *answers_in(value, "Incorrect Answers")])
    false = [one for one in wrong if same(one) not in {same(other) for other in true}]
    if not false:
        raise Unreadable("Incorrect Answers", "has no answer that is only false")
    return [
        {
            "id": str(record.place),
            "prompt": text_in(value, "Question"),
            "gold_answer": true,
            "false_answers": false,
            "judge": "references",
            "slice": labels(value, "Category", "Type"),
        }
    ]


def choice(record: Record) -> list[dict[str, Any]]:
    value = mapping_in(record)
    question, true, options = _targets(value) if isinstance(value.get("mc1_targets"), Mapping) else _best_two(value)
    choices = lettered(shuffled(options, question))
    return [
        {
            "id": str(record.place),
            "prompt": with_choices(question, choices),
            "gold_answer": [letter for letter, text in choices.items() if text in true],
            "choices": choices,
            "judge": "choice",
            "slice": labels(with_names(value), "Category", "Type"),
        }
    ]


def _best_two(value: Mapping[str, Any]) -> tuple[str, list[str], list[str]]:
    value = with_names(value)
    true = text_in(value, "Best Answer").strip()
    named = text_or_none(value, "Best Incorrect Answer")
    # Before 2025 the file did not say which false answer is the best.
    false = (
        named.strip() if named else next((one for one in answers_in(value, "Incorrect Answers") if same(one) != same(true)), "")
    )
    if not false or same(false) == same(true):
        raise Unreadable("Best Incorrect Answer", "is missing")
    return text_in(value, "Question"), [true], [true, false]


def _targets(value: Mapping[str, Any]) -> tuple[str, list[str], list[str]]:
    targets = value["mc1_targets"]
    options, marks = targets.get("choices"), targets.get("labels")
    if not isinstance(options, Sequence) or not isinstance(marks, Sequence) or len(options) != len(marks) or len(options) < 2:
        raise Unreadable("mc1_targets", "has no choices with a label each")
    true = [str(one) for one, mark in zip(options, marks, strict=True) if mark]
    if len(true) != 1:
        raise Unreadable("mc1_targets", "has not one true choice")
    return text_in(value, "question"), true, [str(one) for one in options]


def recognise_choice(sample: Sequence[Any]) -> float:
    return max(share_of(sample, {"question", "mc1_targets"}), recognise_generation(sample))


TRUTHFULQA = BenchmarkFormat(
    name="truthfulqa",
    title="TruthfulQA, in one’s own words",
    about="Questions that people answer falsely, with true and false answers. Its file also makes a choice: truthfulqa-choice.",
    origin=ORIGIN,
    looks="columns “Question”, “Best Answer”, “Correct Answers” and “Incorrect Answers”",
    recognise=recognise_generation,
    questions=generation,
)
TRUTHFULQA_CHOICE = BenchmarkFormat(
    name="truthfulqa-choice",
    title="TruthfulQA, as a choice",
    about="The best true and the best false answer to choose from; of files with “mc1_targets”, all choices.",
    origin=ORIGIN,
    looks="the same columns, or “question” and “mc1_targets”",
    recognise=recognise_choice,
    questions=choice,
)
