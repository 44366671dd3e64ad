"""Verdicts that are kept on disk, so that the same subject is not asked about twice. Knows no Django."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotations.rubric import HIGHEST, LOWEST
from annotations.teachers.replies import Reply
from jobs.child import append_jsonl


def judging_key(**how: Any) -> str:
    """A name for one way of judging, from all that could change a verdict: the same parts give the same name."""
    document = json.dumps(how, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(document.encode()).hexdigest()


class KeptVerdicts:
    """The scores of one way of judging, by their subjects' digests: a line each in a file that several processes may append to.

    Malformed replies are not kept: another time may bring a readable one. A line that is damaged, or holds no score of the scale,
    counts for nothing.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / f"{key}.jsonl"
        self._read = 0  # bytes
        self._kept: dict[str, float | None] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def refresh(self) -> None:
        """Read what was kept since, by other processes too."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new.rfind(b"\n") + 1
        self._read += whole
        for line in new[:whole].splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return
        if isinstance(found, Mapping) and isinstance(found.get("subject"), str) and _is_score(found.get("score", "")):
            self._kept[found["subject"]] = found["score"]

    def find(self, digest: str) -> Reply | None:
        """The verdict on a subject, as far as it is kept: its score, or that the teacher could not tell."""
        if digest not in self._kept:
            return None
        score = self._kept[digest]
        return Reply(score=score, cannot_tell=score is None)

    def keep(self, digest: str, reply: Reply) -> None:
        """Keep a verdict, unless it is malformed. Raises OSError."""
        if reply.is_malformed or digest in self._kept:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        append_jsonl(self._path, {"subject": digest, "score": reply.score}, is_shared=True)
        self._kept[digest] = reply.score


def _is_score(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and LOWEST <= value <= HIGHEST
