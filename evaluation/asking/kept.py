"""Replies that are kept, a file for each model and way of asking, a line for each prompt and sample.

So one more question costs one more reply, a base model replies once however many models are compared with it, and an evaluation
that was stopped goes on. Several processes may add to a file at a time: lines are written whole, and what says the same twice
does no harm.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from evaluation.asking.replies import How, Model, Reply

FORMAT = 2
"""Part of every file's name: a change in how models are asked makes what was kept another thing."""

_FIELDS = ("logprob", "tokens", "ids", "ending", "reason", "drawn")


MOST_BYTES = 20 << 30
"""Of all that is kept in a folder; what was not used for longest is forgotten first."""
USED_LATELY_S = 86_400.0
"""What was used since then is not forgotten: an evaluation may be reading it."""
_START = b'{"key":"'


class KeptReplies:
    """The replies of one model, asked in one way. Only where they stand is held in memory: a file may have those to every
    benchmark there ever was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new: dict[str, Reply] = {}
        self._places = dict(_places(path))
        if self._places:
            with suppress(PermissionError):
                os.utime(path)  # used, if only read

    @classmethod
    def of(cls, folder: Path, model: Model, how: How | str) -> KeptReplies:
        """Those of `model`, asked in this way; `how` may also name another thing that is kept of replies."""
        asked = how if isinstance(how, str) else how.key()
        identity = [FORMAT, model.digest, dict(model.settings()), asked]
        name = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return cls(folder / f"{name}.jsonl")

    def get(self, key: str) -> Reply | None:
        return self.of_keys([key]).get(key)

    def of_keys(self, keys: Iterable[str]) -> dict[str, Reply]:
        """Those of the replies that there are."""
        wanted = set(keys)
        found = {key: self._new[key] for key in wanted & self._new.keys()}
        there = sorted((self._places[key], key) for key in wanted - found.keys() if key in self._places)
        if not there or not self.path.exists():
            return found
        with self.path.open("rb") as file:
            for place, key in there:
                file.seek(place)
                if (reply := _reply(file.readline())) is not None:
                    found[key] = reply
        return found

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
        self._new.update(new)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _line(key: str, reply: Reply) -> Mapping[str, Any]:
    told = {name: value for name in _FIELDS if (value := getattr(reply, name)) not in (None, "", False)}
    return {"key": key, "text": reply.text, **told}


def _places(path: Path) -> Iterator[tuple[str, int]]:
    """Where each reply's line begins; of several to one key the last."""
    if not path.exists():
        return
    place = 0
    with path.open("rb") as lines:
        for line in lines:
            if line.startswith(_START):
                yield line[len(_START) : line.find(b'"', len(_START))].decode(), place
            place += len(line)


def _reply(line: bytes) -> Reply | None:
    """The reply of a line; None for half a line."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    told = {name: row[name] for name in _FIELDS if name in row}
    if "ids" in told:
        told["ids"] = tuple(told["ids"])
    return Reply(row["text"], **told)


def forget_oldest(folder: Path, *, most: int = MOST_BYTES) -> int:
    """Forget replies until the folder has `most` bytes, or only what was used lately is left. Returns how many files went."""
    there = []
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # another process forgets too
            told = path.stat()
            there.append((told.st_mtime, told.st_size, path))
    whole, gone = sum(size for _, size, _ in there), 0
    for used, size, path in sorted(there):
        if whole <= most or used > time.time() - USED_LATELY_S:
            break
        path.unlink(missing_ok=True)
        whole, gone = whole - size, gone + 1
    return gone
