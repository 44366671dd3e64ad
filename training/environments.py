"""The environments that backends need besides the site's own: queued, looked up, and asked about a run before it is queued.

So far there is one, ms-swift's. A run that meets none makes it itself, as its first step; here it can be had beforehand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts.models import User
from jobs.kinds import JobKind, Launch
from jobs.models import ENDED, Job
from jobs.services import job_queue
from training.backends.swift.environment import Environment, environment
from training.backends.swift.options import Refused
from training.backends.swift.validation import validate
from training.specs import RunSpec
from training.virtual_environments import FOLDER_VARIABLE, home

KIND = "training.environment"
SITE_TAG = "site"


class EnvironmentJob(JobKind):
    """`python -m training.backends.swift.install`: makes the environment of ms-swift, with its progress."""

    def launch(self, job: Job, folder: Path) -> Launch:
        argv = [sys.executable, "-m", "training.backends.swift.install", str(folder)]
        return Launch(argv=argv, env={FOLDER_VARIABLE: str(home())})


@dataclass(frozen=True)
class EnvironmentState:
    """ms-swift's environment as it stands: where, and the newest job that makes or made it."""

    environment: Environment
    job: Job | None

    @property
    def is_being_made(self) -> bool:
        return not self.environment.is_ready and self.job is not None and self.job.state not in ENDED

    def described(self) -> dict[str, Any]:
        return {**self.environment.described(), "job": self.job.pk if self.job else None, "being_made": self.is_being_made}


def environment_state() -> EnvironmentState:
    """ms-swift's environment on this machine."""
    return EnvironmentState(environment(), Job.objects.filter(kind=KIND).order_by("-pk").first())


@transaction.atomic
def environment_queue(*, actor: User | None) -> Job | None:
    """Queue the making of ms-swift's environment; the job that already does so, if there is one, or None where it is ready."""
    state = environment_state()
    if state.environment.is_ready:
        return None
    if state.is_being_made:
        return state.job
    title = f"Environment of ms-swift {state.environment.described()['ms-swift']}"
    return job_queue(kind=KIND, title=title, payload={"backend": "ms-swift"}, hardware_tag=SITE_TAG, actor=actor)


def specs_validate(specs: Sequence[RunSpec], *, evaluates: bool) -> None:
    """Ask the backend's own parser about runs whose paths are real, as far as there are files yet. Raises Refused.

    `evaluates`: the dataset has held-out rows. Runs of other backends are left alone.
    """
    asked = [spec for spec in specs if spec.backend == "ms-swift"]
    if not asked:
        return
    found = environment()
    if not found.is_ready:
        hint = "Make it first: Train → Backends, `rlwhf swift-environment`, or POST /api/backends/ms-swift/environment."
        raise Refused(
            "backend", "The environment of ms-swift is not there yet, so nobody can say whether it takes the run.", hint
        )
    validate(asked, evaluates=evaluates)
