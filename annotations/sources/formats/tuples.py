"""RLWHF tuples as they are: {"prompt", "answer", "feedback", "reward", "metadata", …}.

In a table of text, such as CSV, every cell is text: rewards and shares are read as numbers, empty cells are absent, columns named
"metadata.source_ai" belong to the metadata, and a prompt or a metadata cell that is JSON is read as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotations.sources.containers.csv_table import Cells
from annotations.sources.fields import json_cell, mapping_in, number_in
from annotations.sources.format import Format, NoSettings, Unreadable
from annotations.sources.records import Converted, Record
from annotations.tuples import Metadata

NUMBERS = {"confidence_score", "iteration_count", "consensus_score", "gold_score"}
AT_THE_TOP = {"prompt", "answer", "feedback", "reward", "knowledge", "knowledge_source", "gold_answer", "entity"}
JSON_CELLS = {"prompt": list, "metadata": dict, "turns": list, "gold_answer": list, "decomposition": list | dict}


def recognise(sample: Sequence[Any]) -> float:
    found = [_likeness(one) for one in sample if isinstance(one, Mapping)]
    return sum(found) / len(sample) if found else 0.0


def _likeness(one: Mapping[str, Any]) -> float:
    if "prompt" not in one or "answer" not in one:
        return 0.0
    return 1.0 if {"reward", "feedback", "metadata"} & set(one) else 0.9


def convert(record: Record, _: NoSettings) -> Converted:
    value = mapping_in(record)
    return Converted(record.place, (_from_cells(value) if isinstance(value, Cells) else _labelled(value),))


def _labelled(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A scorecard's answers say `known: true` where a tuple says `knowledge: known`. Unlabelled, a build would take every answer
    for one that should have been an “I do not know”, and pairs would teach silence alone.
    """
    known = value.get("known")
    if not isinstance(known, bool) or "verdict" not in value or value.get("knowledge"):
        return value
    return {**value, "knowledge": "known" if known else "unknown"}


def _from_cells(cells: Cells) -> dict[str, Any]:
    found: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, cell in cells.items():
        if not cell.strip():
            continue
        inner = name.removeprefix("metadata.")
        if name in JSON_CELLS and cell.lstrip()[:1] in {"[", "{"}:
            read = json_cell(cell, name, or_text=True)
            found[name] = read if isinstance(read, JSON_CELLS[name]) else cell
        elif name == "reward":
            found[name] = _number(cell, name)
        elif inner != name or (name in Metadata.model_fields and name not in AT_THE_TOP):
            metadata[inner] = _number(cell, name) if inner in NUMBERS else cell
        else:
            found[name] = cell
    if metadata:
        found["metadata"] = (found["metadata"] if isinstance(found.get("metadata"), dict) else {}) | metadata
    return found


def _number(cell: str, name: str) -> float | int:
    number = number_in(cell.strip().replace("−", "-"))
    if number is None:
        raise Unreadable(name, f"is not a number ({cell[:40]})")
    return int(number) if number == int(number) else number


TUPLES = Format(
    name="tuples",
    title="RLWHF tuples",
    about="A prompt, an answer, and what was said about it.",
    looks="records have “prompt” and “answer”",
    recognise=recognise,
    convert=convert,
)
