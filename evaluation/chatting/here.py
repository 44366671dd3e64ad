"""Models served by a child of this process, for as long as it asks them: what the terminal talks to."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from accounts.chat.service import ChatService
from evaluation.chatting.asking import ANSWER_S, Talker
from evaluation.chatting.conversation import ChatRefused
from evaluation.serving.places import ADDRESS, KEY_VARIABLE, REQUEST
from jobs.child import FAILURE, PROGRESS, read_json
from jobs.site_secrets import environment_without_secrets
from training.hardware.memory import is_on_cpu
from training.jobs import CHILD_ENVIRONMENT
from training.placing import NamedModel

FOR_EVER_S: Final = 30 * 24 * 3600.0
LOOK_EVERY_S: Final = 0.1
ENDING_S: Final = 15.0


@contextmanager
def served_here(models: Sequence[NamedModel], *, tag: str, tell: Callable[[str], None]) -> Iterator[list[Talker]]:
    """Those who answer for these models, in order; `tell` hears how far loading is. Raises ChatRefused where that fails.

    The child ends with this process, however that ends.
    """
    key = secrets.token_urlsafe()
    with tempfile.TemporaryDirectory(prefix="rlwhf-chat-") as name:
        folder = Path(name)
        request = {
            "models": {one.name: str(one.path) for one in models}, "idle_s": FOR_EVER_S,
            "hardware": {"profile": tag, "precision": "float32" if is_on_cpu(tag) else "bfloat16"},
        }  # fmt: skip
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        with (folder / "log.txt").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "evaluation.serving.job", str(folder)],
                cwd=folder,
                env=environment_without_secrets() | CHILD_ENVIRONMENT | {KEY_VARIABLE: key, "PYTHONPATH": _path()},
                stdin=subprocess.PIPE,  # whose end it sees when this process is gone
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends an answer, not the model
            )
        try:
            told = _ready(child, folder, tell)
            yield [
                Talker(
                    one.name, "model", ChatService(base_url=told["address"], model=one.name, timeout_s=ANSWER_S), key,
                    str(told["models"][one.name]),
                )
                for one in models
            ]  # fmt: skip
        finally:
            _end(child)


def _ready(child: subprocess.Popen[bytes], folder: Path, tell: Callable[[str], None]) -> dict[str, dict[str, str]]:
    said = ""
    while not (told := read_json(folder / ADDRESS)):
        if child.poll() is not None:
            failure = read_json(folder / FAILURE)
            log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
            last = log.splitlines()[-1] if log else "it said nothing"
            raise ChatRefused(f"{failure.get('reason') or last} {failure.get('hint') or ''}".strip())
        if (note := str(read_json(folder / PROGRESS).get("note") or "")) not in ("", said):
            said = note
            tell(note)
        time.sleep(LOOK_EVERY_S)
    return told


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    assert child.stdin is not None
    child.stdin.close()


def _path() -> str:
    return os.pathsep.join(part for part in (str(settings.BASE_DIR), os.environ.get("PYTHONPATH")) if part)
