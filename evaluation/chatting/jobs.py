"""The job that serves models of this site, so that pages can ask them: it loads them, and ends when nobody asks any more."""

import json
import sys
from pathlib import Path
from typing import Final

from django.utils.crypto import salted_hmac

from evaluation.serving.places import KEY_VARIABLE, REQUEST
from jobs.kinds import CannotStart, JobKind, Launch
from jobs.models import Job
from jobs.storage import places
from jobs.storage.stores import StorageError
from training.hardware.memory import is_on_cpu
from training.jobs import CHILD_ENVIRONMENT
from training.models import Artifact
from training.placing import model_here

KIND: Final = "training.serve"
IDLE_S: Final = 300.0
"""A model that nobody has asked anything for so long gives its worker back."""


class ModelServing(JobKind):
    """`python -m evaluation.serving.job` in the job's folder."""

    def launch(self, job: Job, folder: Path) -> Launch:
        if places.is_elsewhere():
            reason = "Models are served on the site's own machine, whose pages ask them, and this worker is on another."
            raise CannotStart(reason, "Choose hardware that the site's machine has.")
        names = list(job.payload["models"])
        found = {one.name: one for one in Artifact.objects.select_related("base").filter(name__in=names)}
        if gone := [name for name in names if name not in found]:
            raise CannotStart(f"There is no model named {', '.join(gone)} any more.")
        try:
            models = {name: str(model_here(found[name], folder)) for name in names}
        except (StorageError, OSError) as error:
            raise CannotStart(f"A model's files cannot be had: {error}") from error
        precision = "float32" if is_on_cpu(job.hardware_tag) else "bfloat16"
        request = {
            "models": models, "hardware": {"profile": job.hardware_tag, "precision": precision},
            "idle_s": float(job.payload.get("idle_s", IDLE_S)),
        }  # fmt: skip
        (folder / REQUEST).write_text(json.dumps(request, indent=2), encoding="utf-8")
        argv = [sys.executable, "-m", "evaluation.serving.job", str(folder)]
        return Launch(argv=argv, env=CHILD_ENVIRONMENT | {KEY_VARIABLE: serving_key(job)})


def serving_key(job: Job) -> str:
    """What requests to a serving job must carry: another for each job, and written down nowhere."""
    return salted_hmac(KIND, str(job.pk), algorithm="sha256").hexdigest()
