"""Runs the service of local models: in the foreground until a signal comes, or in a thread beside other work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn

from evaluation.serving.app import make_app
from evaluation.serving.engine import Engine
from evaluation.serving.listening import LOCAL_NAMES, is_local, listening, server_of

KEY_VARIABLE: Final = "RLWHF_SERVE_KEY"
STOPPING_S: Final = 30


def server_for(engines: Mapping[str, Engine], *, host: str, key: str, log_level: str = "warning") -> uvicorn.Server:
    """A server that is not started yet."""
    app = make_app(engines, key=key, hosts=LOCAL_NAMES if is_local(host) else ("*",))
    return server_of(app, ending_s=STOPPING_S, log_level=log_level)


@contextmanager
def serving(engines: Sequence[Engine], *, key: str = "") -> Iterator[str]:
    """The address under which this machine reaches these models, meanwhile. At the end the engines are closed, and what is
    still being answered is dropped: nobody is there to hear it.
    """
    try:
        with listening(make_app({engine.name: engine for engine in engines}, key=key, hosts=LOCAL_NAMES)) as address:
            yield address
    finally:
        for engine in engines:
            engine.close(drop=True)
