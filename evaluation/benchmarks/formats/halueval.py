"""HaluEval (Li et al. 2023, arXiv:2305.11747; https://github.com/RUCAIBox/HaluEval, MIT).

`qa_data.json`: knowledge, question, right_answer, hallucinated_answer; `dialogue_data.json`: knowledge, dialogue_history,
right_response, hallucinated_response; `summarization_data.json`: document, right_summary, hallucinated_summary; and
`general_data.json`: user_query, chatgpt_response, hallucination ("yes" or "no"). On the Hugging Face hub (pminervini/HaluEval)
the `…_samples` have one answer each and `hallucination`.

The paper's task is to recognise what is made up. There one of the two answers is drawn; here both are asked about, so that who
always says “yes” is right exactly half the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotations.sources.fields import mapping_in, share_of, text_in, text_or_none
from annotations.sources.format import Unreadable
from annotations.sources.records import Record
from evaluation.benchmarks.formats.format import BenchmarkFormat

ORIGIN = "Li et al. 2023, arXiv:2305.11747"
YES, NO = "Yes", "No"
CHOICES = {YES: "it contains something made up", NO: "it does not"}
MARKS = {"yes": YES, "no": NO}


@dataclass(frozen=True)
class Part:
    """One of the data set's four parts: where the material, the question and the answers stand, and what they are called."""

    name: str
    right: str
    made_up: str
    answer: str
    material: str = ""
    asked: str = ""
    material_title: str = "Knowledge"
    asked_title: str = "Question"
    answer_title: str = "Answer"

    def names(self) -> set[str]:
        return {self.right, self.made_up}

    def marked(self) -> set[str]:
        return {name for name in (self.asked, self.answer, "hallucination") if name}


PARTS = (
    Part("qa", "right_answer", "hallucinated_answer", "answer", "knowledge", "question"),
    Part("dialogue", "right_response", "hallucinated_response", "response", "knowledge", "dialogue_history",
         asked_title="Dialogue", answer_title="Response"),
    Part("summarization", "right_summary", "hallucinated_summary", "summary", "document",
         material_title="Document", answer_title="Summary"),
    Part("general", "", "", "chatgpt_response", "", "user_query"),
)  # fmt: skip


def recognising(record: Record) -> list[dict[str, Any]]:
    value, part = mapping_in(record), _part(mapping_in(record))
    entity = str(value.get("ID", record.place))
    return [
        {
            "id": f"{entity}/{number}" if len(answers) > 1 else entity,
            "prompt": _prompt(value, part, answer),
            "gold_answer": label,
            "choices": CHOICES,
            "judge": "choice",
            "entity": f"{part.name} {entity}",
            "slice": {"part": part.name, "answer": "made up" if label == YES else "right"},
        }
        for answers in [_answers(value, part)]
        for number, (answer, label) in enumerate(answers, start=1)
    ]


def _part(value: Mapping[str, Any]) -> Part:
    for part in PARTS:
        if (part.right and part.names() <= set(value)) or part.marked() <= set(value):
            return part
    raise Unreadable("", "has neither a right and a made-up answer, nor one that is marked")


def _answers(value: Mapping[str, Any], part: Part) -> list[tuple[str, str]]:
    if part.right and part.names() <= set(value):
        return [(text_in(value, part.right), NO), (text_in(value, part.made_up), YES)]
    mark = MARKS.get(text_in(value, "hallucination").strip().lower())
    if mark is None:
        raise Unreadable("hallucination", "is neither yes nor no")
    return [(text_in(value, part.answer), mark)]


def _prompt(value: Mapping[str, Any], part: Part, answer: str) -> str:
    material = text_or_none(value, part.material) if part.material else None
    parts = [f"{part.material_title}: {material}"] if material else []
    parts += [f"{part.asked_title}: {text_in(value, part.asked)}"] if part.asked else []
    kind = part.answer_title.lower()
    ask = f"Does the {kind} contain anything that is made up, or that contradicts what is given? Answer “{YES}” or “{NO}”."
    return "\n".join([*parts, f"{part.answer_title}: {answer}", ask])


def answering(record: Record) -> list[dict[str, Any]]:
    """The question itself, with the knowledge that its answer is in."""
    value = mapping_in(record)
    knowledge, question = text_or_none(value, "knowledge"), text_in(value, "question")
    return [
        {
            "id": str(record.place),
            "prompt": f"{knowledge}\n\n{question}" if knowledge else question,
            "gold_answer": text_in(value, "right_answer"),
            "false_answers": [text_in(value, "hallucinated_answer")],
            "judge": "references",
            "slice": {"part": "qa"},
        }
    ]


def recognise(sample: Sequence[Any]) -> float:
    return max(max(share_of(sample, part.names()) if part.right else 0.0, share_of(sample, part.marked())) for part in PARTS)


HALUEVAL = BenchmarkFormat(
    name="halueval",
    title="HaluEval, recognising",
    about="Whether an answer holds something made up: yes or no, of the right and of the made-up one alike.",
    origin=ORIGIN,
    looks="“right_answer” and “hallucinated_answer” (or those of dialogues and summaries), or an answer and “hallucination”",
    recognise=recognise,
    questions=recognising,
)
HALUEVAL_ANSWER = BenchmarkFormat(
    name="halueval-answer",
    title="HaluEval, answering",
    about="The questions of its first part, with the knowledge that goes with them, to be answered.",
    origin=ORIGIN,
    looks="“knowledge”, “question”, “right_answer” and “hallucinated_answer”",
    recognise=lambda sample: share_of(sample, {"question", "right_answer", "hallucinated_answer"}),
    questions=answering,
)
