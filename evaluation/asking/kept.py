"""Replies that are kept, a file for each model and way of asking, a line for each prompt and sample.

So one more question costs one more reply, a base model replies once however many models are compared with it, and an evaluation
that was stopped goes on. Several processes may add to a file at a time: lines are written whole, and what says the same twice
does no harm.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from evaluation.asking.replies import How, Model, Reply

FORMAT = 2
"""Part of every file's name: a change in how models are asked makes what was kept another thing."""

_FIELDS = ("logprob", "tokens", "ids", "ending", "reason", "drawn")


class KeptReplies:
    """The replies of one model, asked in one way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._replies = dict(_read(path))

    @classmethod
    def of(cls, folder: Path, model: Model, how: How | str) -> KeptReplies:
        """Those of `model`, asked in this way; `how` may also name another thing that is kept of replies."""
        asked = how if isinstance(how, str) else how.key()
        identity = [FORMAT, model.digest, dict(model.settings()), asked]
        name = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return cls(folder / f"{name}.jsonl")

    def get(self, key: str) -> Reply | None:
        return self._replies.get(key)

    def add(self, replies: Iterable[tuple[str, Reply]]) -> None:
        """Keep replies; written, and there for other processes, when this returns. Raises OSError."""
        new = list(replies)
        lines = b"".join(orjson.dumps(_line(key, reply)) + b"\n" for key, reply in new)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # Half a line, left by a process that was killed or a disk that was full, must not spoil the next one.
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            _write(descriptor, (b"\n" if torn else b"") + lines)
        finally:
            os.close(descriptor)
        self._replies.update(new)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _line(key: str, reply: Reply) -> Mapping[str, Any]:
    told = {name: value for name in _FIELDS if (value := getattr(reply, name)) not in (None, "", False)}
    return {"key": key, "text": reply.text, **told}


def _read(path: Path) -> Iterable[tuple[str, Reply]]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # half a line
            told = {name: row[name] for name in _FIELDS if name in row}
            if "ids" in told:
                told["ids"] = tuple(told["ids"])
            yield row["key"], Reply(row["text"], **told)
