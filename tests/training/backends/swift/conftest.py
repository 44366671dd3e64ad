"""ms-swift's environment, as the site makes it: once, and kept between runs of the tests."""

from pathlib import Path

import pytest

from training.backends.swift import validation
from training.backends.swift.environment import PYTHON_VARIABLE, Environment, ensure
from training.virtual_environments import FOLDER_VARIABLE


@pytest.fixture
def swift(monkeypatch) -> Environment:
    """The environment; making it takes some minutes and 2 GB the first time."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(Path.home() / ".cache" / "rlwhf" / "environments"))
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(validation, "PATIENCE_S", 900)  # long tests share their machine
    return ensure(lambda *_: None)
