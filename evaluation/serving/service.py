"""Runs the service of local models: in the foreground until a signal comes, or in a thread beside other work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn

from evaluation.model_hash import model_hash
from evaluation.serving.app import make_app
from evaluation.serving.engine import Engine
from evaluation.serving.listening import LOCAL_NAMES, is_local, listening, server_of
from evaluation.serving.places import KEY_VARIABLE
from training.faults import training_error
from training.specs import HardwareSpec

__all__ = ["KEY_VARIABLE", "STOPPING_S", "engine_of", "server_for", "serving"]

STOPPING_S: Final = 30


def engine_of(name: str, path: str, *, hardware: HardwareSpec, prompt_format: str = "auto", batch_size: int = 32) -> Engine:
    """A model, loaded, with the hash of the files that were. Raises TrainingError where it cannot be."""
    try:
        digest = model_hash(path)  # of the files that are loaded, not of what lies there later
        return Engine(name, path, hardware=hardware, prompt_format=prompt_format, batch_size=batch_size, digest=digest)
    except Exception as error:  # of libraries, which raise anything; what is no known fault is raised as it is
        known = training_error(error)
        if known is None:
            raise
        raise known from error


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
