"""The kinds of background job that evaluation has: what to start, and what to write down when it ends."""

import sys
from pathlib import Path

from django.conf import settings
from django.urls import reverse

from accounts.endpoints import endpoint_environment
from accounts.hosts import HostRefused
from accounts.secrets import SecretLost
from evaluation.models import Evaluation
from evaluation.promotion.services import evaluation_watched
from evaluation.services import evaluate_spec, scorecard_store
from evaluation.specs import ANSWERS, SPEC
from jobs.kinds import CannotStart, JobKind, Launch, Outcome, django_child
from jobs.models import Job
from jobs.storage.folders import here
from jobs.storage.places import local_path
from training.jobs import CHILD_ENVIRONMENT
from training.virtual_environments import FOLDER_VARIABLE, home


class ScorecardEvaluation(JobKind):
    """`python -m evaluation.execute` in the evaluation's folder."""

    def launch(self, job: Job, folder: Path) -> Launch:
        evaluation = _evaluation(job)
        try:
            spec = evaluate_spec(evaluation, folder)
            key = endpoint_environment(evaluation.endpoint) if evaluation.endpoint else {}
        except HostRefused as refused:
            raise CannotStart(str(refused)) from refused
        except SecretLost as lost:
            raise CannotStart(str(lost), "Or give the endpoint its key again.") from lost
        (folder / SPEC).write_text(spec.model_dump_json(indent=2), encoding="utf-8")
        environment = CHILD_ENVIRONMENT | key | {FOLDER_VARIABLE: str(home())}
        return Launch(argv=[sys.executable, "-m", "evaluation.execute", str(folder)], env=environment)

    def destination(self, job: Job) -> Path:
        evaluation = _evaluation(job)
        return Path(settings.RLWHF_HOME) / "artifacts" / "evaluation" / f"{evaluation.model_name}-{evaluation.pk}"

    def finished(self, job: Job, outcome: Outcome) -> None:
        if outcome.succeeded:
            evaluation_watched(evaluation=scorecard_store(evaluation=_evaluation(job), folder=local_path(job.folder)))

    def url(self, job: Job) -> str:
        return _evaluation(job).get_absolute_url()


class AnswerCollection(JobKind):
    """`collect-answers` of what an earlier job, the generation, wrote."""

    def launch(self, job: Job, folder: Path) -> Launch:
        wanted = job.payload
        answers = here(Job.objects.get(pk=wanted["answers"]).folder) / ANSWERS
        arguments = ("--project", wanted["project"], "--questions", wanted["questions"], "--answers", str(answers))
        return Launch(
            argv=django_child("collect_answers", *arguments, "--source", wanted["source"], "--folder", str(folder), "--job")
        )

    def url(self, job: Job) -> str:
        return f"{reverse('annotations:item-list')}?project={job.payload['project']}"


def _evaluation(job: Job) -> Evaluation:
    found = Evaluation.objects.select_related("artifact", "endpoint", "base", "benchmark", "requested_by")
    return found.defer("requested_by__password", "endpoint__sealed_key").get(job=job)  # which a worker elsewhere may not read
