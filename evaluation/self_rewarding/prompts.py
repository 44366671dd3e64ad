"""The prompts of each round: read from a dataset version or a file, drawn by the seed, and written for the round's jobs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from annotations.models import DatasetVersion
from evaluation.answers import HELD_OUT
from evaluation.benchmarks.folder import QUESTIONS
from jobs.child import write_whole
from training.data import read_rows, text_of
from training.exceptions import BadData


class NoPrompts(ValueError):  # noqa: N818 - reads as what happened
    """There is nothing to ask; the message says why and what to do."""


def prompts_read(named: str) -> list[dict[str, Any]]:
    """Rows `{id, prompt, gold_answer}` of a dataset version of prompts, or of a file of JSON lines. Raises NoPrompts."""
    rows = _rows(named)
    ids = [str(row.get("id", row.get("item_id", number))) for number, row in enumerate(rows)]
    if len(set(ids)) < len(ids):
        ids = [str(number) for number in range(len(rows))]
    found = []
    for name, row in zip(ids, rows, strict=True):
        gold = {"gold_answer": row["gold_answer"]} if row.get("gold_answer") is not None else {}
        found.append({"id": name, "prompt": row["prompt"], **gold})
    return found


def _rows(named: str) -> list[dict[str, Any]]:
    version = DatasetVersion.objects.filter(name=named).first()
    if version is not None and version.kind != DatasetVersion.Kind.PROMPTS:
        raise NoPrompts(f"“{named}” is a {version.kind} dataset; the rounds ask a dataset of prompts.")
    if version is not None and not version.is_ready:
        raise NoPrompts(f"“{named}” is not built yet.")
    path = Path(version.folder) / "train.jsonl" if version is not None else Path(named)
    if version is None and not (path.is_absolute() and path.is_file()):
        raise NoPrompts(f"There is no dataset version “{named}”, and no such file (by its whole path).")
    try:
        return read_rows(path, ("prompt",))
    except BadData as error:
        raise NoPrompts(f"{error.reason} {error.hint}".strip()) from error


def without_held_out(rows: Sequence[dict[str, Any]], benchmark: Path) -> list[dict[str, Any]]:
    """The prompts that are not among the questions that a benchmark's folder holds out, but for case and spaces: what is trained
    on cannot be measured. Held out are the people of fold B, where there is such a fold, else all. Raises NoPrompts where
    fewer than two are left.
    """
    asked = _held_out(benchmark)
    kept = [row for row in rows if _words(row["prompt"]) not in asked]
    if len(kept) < 2:
        reason = f"{len(rows)} prompts, of which {len(rows) - len(kept)} are held-out questions of the benchmark"
        raise NoPrompts(f"{reason}: give others, at least two.")
    return kept


def _held_out(benchmark: Path) -> set[str]:
    path = benchmark / QUESTIONS
    if not path.is_file():  # then nothing can be measured on it, and the scorecard's job says so
        return set()
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    folds = [row.get("slice", {}).get("fold") for row in rows]
    has_fold = HELD_OUT in folds
    return {_words(row["prompt"]) for row, fold in zip(rows, folds, strict=True) if not has_fold or fold == HELD_OUT}


def _words(prompt: str | list[dict[str, Any]]) -> str:
    return " ".join(text_of(prompt).split()).casefold()


def round_prompts(rows: Sequence[dict[str, Any]], *, number: int, each: int | None, seed: int) -> list[dict[str, Any]]:
    """Those of one round, from 1: all of them, or `each`, others every round until all have had their turn."""
    if each is None or each >= len(rows):
        return list(rows)
    order = list(range(len(rows)))
    random.Random(f"self-rewarding/{seed}").shuffle(order)  # noqa: S311 (no secret)
    first = (number - 1) * each
    return [rows[order[(first + at) % len(order)]] for at in range(each)]


def prompts_write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path
