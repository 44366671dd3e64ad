"""The kinds of background job that training has: what to start, and what to write down when it ends."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.db import ProgrammingError

from accounts.hosts import HostRefused
from accounts.secrets import SecretLost
from annotations.models import DatasetVersion
from jobs.kinds import CannotStart, Failure, JobKind, Launch, Outcome, Resumable
from jobs.models import Job
from jobs.storage.folders import here
from training.backends import backend_of
from training.fallbacks import run_fall_back, write_fallbacks
from training.folder import RunFolder
from training.following import newest_checkpoint
from training.models import Artifact, Run
from training.placing import bases_named, dataset_here, model_here
from training.services import GENERATE_FILE, artifact_publish, data_paths, run_folder
from training.sources import check_rows
from training.specs import RunSpec, artifacts_placed, write_spec
from training.teachers import teachers_placed

# Nothing leaves the machine unasked: no usage reports, and no look-ups at the hub but where HF_HUB_OFFLINE=0 allows them.
CHILD_ENVIRONMENT = {
    "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class TrainingRun(JobKind):
    """`python -m training.execute` in the run's folder."""

    def launch(self, job: Job, folder: Path) -> Launch:
        run = _run(job)
        spec = place_spec(run, folder)
        spec, keys = _with_teachers(run, spec)
        check_rows(run, spec)
        write_fallbacks(run.fallbacks, folder, spec)
        write_spec(spec, folder)
        start = backend_of(spec).start(spec, folder)
        return Launch(argv=start.argv, env=CHILD_ENVIRONMENT | start.env | keys)

    def destination(self, job: Job) -> Path:
        return run_folder(_run(job))

    def again(self, job: Job, failure: Failure) -> bool:
        return run_fall_back(run=_run(job), job=job, failure=failure)

    def finished(self, job: Job, outcome: Outcome) -> None:
        if outcome.succeeded:
            artifact_publish(run=_run(job), folder=Path(job.folder), metrics=job.result or {})

    def pack(self, job: Job, folder: Path) -> None:
        bases_named(folder, _run(job).base)

    def resumable(self, folder: Path) -> Resumable | None:
        runs = [RunFolder(part) for part in (folder, *sorted(folder.glob("members/*")))]
        whole = [path for run in runs for path in run.whole_checkpoints()]
        started = [path for run in runs for path in run.checkpoints.glob("checkpoint-*")]
        unfinished = tuple(path.relative_to(folder).as_posix() for path in started if path not in whole)
        names = ", ".join(path.relative_to(folder).as_posix() for path in whole)
        return Resumable(names, unfinished) if whole else None

    def checkpoint(self, job: Job) -> str | None:
        newest = newest_checkpoint(Path(job.folder))
        return f"step {newest.step}" if newest else None

    def url(self, job: Job) -> str:
        return _run(job).get_absolute_url()


class AnswerGeneration(JobKind):
    """`python -m training.generate`: a model answers a file of prompts."""

    def launch(self, job: Job, folder: Path) -> Launch:
        artifact = Artifact.objects.get(name=job.payload["artifact"])
        prompts = here(job.payload["request"]["prompts"])
        request = job.payload["request"] | {"model": str(model_here(artifact, folder)), "prompts": str(prompts)}
        (folder / GENERATE_FILE).write_text(json.dumps(request, indent=2), encoding="utf-8")
        return Launch(argv=[sys.executable, "-m", "training.generate", str(folder)], env=CHILD_ENVIRONMENT)


def place_spec(run: Run, folder: Path) -> RunSpec:
    """The run's specification with the real paths of its data and of its base model, for a job in `folder` on this machine."""
    values: dict[str, Any] = dict(run.spec)
    values["data"] = values["data"] | data_paths(DatasetVersion(folder=str(dataset_here(run.dataset))))
    if run.base is not None:
        values["model"] = {"path": str(model_here(run.base, folder))}
    values = artifacts_placed(values, {used.name: str(model_here(used, folder)) for used in run.uses.all()})
    return RunSpec.model_validate(values)


def _with_teachers(run: Run, spec: RunSpec) -> tuple[RunSpec, dict[str, str]]:
    """The specification with how its AI teachers are asked, and their keys, which travel by the environment alone."""
    try:
        values, keys = teachers_placed(spec.model_dump(mode="json"), run.dataset)
    except HostRefused as refused:
        raise CannotStart(str(refused)) from refused
    except SecretLost as lost:
        raise CannotStart(str(lost), "Or give the teacher's endpoint its key again.") from lost
    except ProgrammingError as hidden:
        reason = "This worker may not read the key of the teacher's endpoint."
        raise CannotStart(reason, "Run it on a worker that is started with the site.") from hidden
    return RunSpec.model_validate(values), keys


def _run(job: Job) -> Run:
    # A worker on another host may read everything about people but their passwords.
    found = Run.objects.select_related("artifact", "base", "dataset", "job", "requested_by")
    return found.defer("requested_by__password").get(job=job)
