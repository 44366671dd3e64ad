"""The environments of harnesses, made on demand and kept, beside that of ms-swift and in the same way.

Inspect and lm-eval run upon the site's own packages, with theirs before them; where they are installed with the site's, those
are taken. EvalScope's pins and ours exclude each other: it has an environment of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from evaluation.harnesses.table import Harness
from training import virtual_environments
from training.exceptions import TrainingError
from training.virtual_environments import Progress, VirtualEnvironment

FOLDER: Final = Path(__file__).parent
ENVIRONMENTS: Final[Mapping[str, VirtualEnvironment]] = {
    "harness": VirtualEnvironment(
        name="harness",
        title="Inspect and lm-eval",
        requirements=FOLDER / "requirements-harness.txt",
        probe="import inspect_ai, lm_eval.models.openai_completions; print(inspect_ai.__version__)",
        size_bytes=300_000_000,
        on_site=True,
        roots=("inspect-ai==0.3.285", "lm-eval[api]==0.4.13"),
    ),
    "evalscope": VirtualEnvironment(
        name="evalscope",
        title="EvalScope",
        requirements=FOLDER / "requirements-evalscope.txt",
        probe="import evalscope; from importlib.metadata import version; print(version('evalscope'))",
        size_bytes=850_000_000,
        roots=("evalscope==1.14.1", "orjson"),
        left_out=("zhconv",),  # GPL; for errors in transcribed Chinese speech alone
    ),
}


class HarnessFailed(TrainingError):  # noqa: N818 (says what happened)
    """A harness did not do what it was asked to."""

    kind = "harness"


def python_of(harness: Harness, progress: Progress) -> Path:
    """The interpreter that has the harness, its environment made first where there is none. Raises EnvironmentFailed."""
    wanted = ENVIRONMENTS[harness.environment]
    if wanted.on_site and _installed_here(harness):
        return Path(sys.executable)
    return virtual_environments.ensure(wanted, progress)


def _installed_here(harness: Harness) -> bool:
    try:
        return metadata.version(harness.package) == harness.version
    except metadata.PackageNotFoundError:
        return False
