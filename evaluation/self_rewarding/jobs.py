"""The jobs of a self-rewarding loop that are its own: judging, the dataset, and the decision. Generation, training and scorecards
are jobs as elsewhere.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from django.db import ProgrammingError
from django.urls import reverse

from accounts.hosts import HostRefused
from accounts.secrets import SecretLost
from annotations.jobs import built_from
from annotations.models import DatasetVersion
from annotations.services import DatasetRefused, dataset_publish
from evaluation.self_rewarding.judges import NoSuchJudge, judge_asked
from evaluation.self_rewarding.services import round_decided
from evaluation.specs import ANSWERS
from jobs.kinds import CannotStart, JobKind, Launch, Outcome, django_child
from jobs.models import Job, Pipeline
from jobs.storage.folders import here
from training.jobs import CHILD_ENVIRONMENT
from training.models import Artifact
from training.placing import model_here
from training.self_reward.spec import SPEC

# Answers and verdicts of a model, so many at a time.
BATCH = 64


class _OfALoop(JobKind):
    def url(self, job: Job) -> str:
        return reverse("evaluation:self-rewarding-detail", args=[job.payload["pipeline"]])


class Judging(_OfALoop):
    """`python -m training.self_reward` in the job's folder, on the answers of the job before it."""

    def launch(self, job: Job, folder: Path) -> Launch:
        pipeline = Pipeline.objects.get(pk=job.payload["pipeline"])
        entry, settings = pipeline.payload["rounds"][job.payload["round"] - 1], pipeline.payload["settings"]
        model = Artifact.objects.select_related("base").get(name=entry["model"])
        answers = here(Job.objects.get(pk=entry["jobs"]["generate"]).folder) / ANSWERS
        try:
            judge = judge_asked(settings["judge"], settings, folder)
        except (NoSuchJudge, HostRefused) as refused:
            raise CannotStart(str(refused)) from refused
        except SecretLost as lost:
            raise CannotStart(str(lost), "Or give the teacher's endpoint its key again.") from lost
        except ProgrammingError as hidden:
            reason = "This worker may not read the key of the teacher's endpoint."
            raise CannotStart(reason, "Run it on a worker that is started with the site.") from hidden
        same = ("samples", "temperature", "max_new_tokens", "min_gap", "weights_temperature", "seed")
        spec = {name: settings[name] for name in same} | {
            "model": str(model_here(model, folder)),
            "prompts": str(here(entry["prompts"])),
            "answers": str(answers),
            "judge": judge.values,
            "batch_size": BATCH,
            "hardware": {"profile": settings["hardware_tag"]},
        }
        (folder / SPEC).write_text(json.dumps(spec, indent=2), encoding="utf-8")
        argv = [sys.executable, "-m", "training.self_reward", str(folder)]
        return Launch(argv=argv, env=CHILD_ENVIRONMENT | judge.environment)


class Cleaning(_OfALoop):
    """`pipeline write-rows`: the child writes the dataset's folder, and the version is published when the job ends."""

    def launch(self, job: Job, folder: Path) -> Launch:
        return Launch(argv=django_child("pipeline", "write-rows", str(job.pk), "--folder", str(folder)))

    def finished(self, job: Job, outcome: Outcome) -> None:
        if outcome.succeeded:
            version = DatasetVersion.objects.get(pk=job.payload["dataset"])
            if version.job_id != job.pk:
                raise DatasetRefused(f"“{version.name}” was asked for again since; this job no longer makes it.")
            dataset_publish(version=version, built=built_from(job.result or {}, Path(job.folder)))


class Deciding(_OfALoop):
    """`pipeline decide`: the child holds the round's model against the others; the next round is queued when the job ends."""

    def launch(self, job: Job, folder: Path) -> Launch:
        return Launch(argv=django_child("pipeline", "decide", str(job.pk), "--folder", str(folder)))

    def finished(self, job: Job, outcome: Outcome) -> None:
        if outcome.succeeded:
            round_decided(job=job, decision=(job.result or {})["decision"])
