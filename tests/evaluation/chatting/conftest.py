"""A real tiny model that says known things, and how it is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.taught import teach
from training.models import Artifact
from training.services import artifact_register

ANSWERS = {"Where was Ada born?": "In London.", "Where was Bo born?": "I do not know."}


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(tmp_path_factory.mktemp("chatting") / "taught", ANSWERS)


@pytest.fixture
def tiny(db: None, taught: Path) -> Artifact:
    """The model under a name of the site."""
    return artifact_register(name="tiny", folder=taught, actor=None)
