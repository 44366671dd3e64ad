"""What the home page reads. No query touches the items or the scores themselves, so it is as fast with many as with few."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Case, Count, F, Q, Sum, When

from annotations.models import DatasetVersion, Progress, Project
from annotations.selectors.rollups import revoked_counts
from dashboards.recent import shared
from dashboards.standing import LoopRun, Standing
from dashboards.telemetry import Usage, usage_of
from evaluation.loop import PIPELINE_KIND
from evaluation.models import Evaluation, Promotion
from jobs.models import ENDED, Job, Pipeline, State
from jobs.selectors import pipeline_jobs, pipeline_state
from training.models import Artifact, Run

# As Project.task_count has it: an answer to compare is no task of its own, and nobody waits for a gold item's scores.
TASKS = Case(When(mode=Project.Mode.COMPARE, then=F("comparison_count")), default=F("item_count") - F("gold_count"))
RUNS_SHOWN = 6
CHAMPIONS_SHOWN = 3


@dataclass(frozen=True)
class Overview:
    """Where the project stands, with the steps of the latest turn of the demo loop."""

    standing: Standing
    loop_jobs: list[Job]


@shared
def overview() -> Overview:
    pipeline = Pipeline.objects.filter(kind=PIPELINE_KIND).first()
    jobs = pipeline_jobs(pipeline) if pipeline else []
    return Overview(_standing(_loop_run(pipeline, jobs)), jobs)


def _standing(loop: LoopRun | None) -> Standing:
    projects = Project.objects.aggregate(
        count=Count("id"),
        items=Sum("item_count", default=0),
        wanted=Sum(TASKS, filter=Q(raters_per_item__gt=0), default=0),
    )
    progress = Progress.objects.aggregate(
        scores=Sum("scored", default=0), completed=Sum("completed", filter=Q(project__raters_per_item__gt=0), default=0)
    )
    live = _live_jobs()
    dataset = DatasetVersion.objects.ready().only("name").first()
    model = Artifact.objects.ready().only("name").first()
    unmeasured = Artifact.objects.ready().policies().filter(evaluations=None).only("name").first()
    champions = Promotion.objects.filter(ended_at=None).order_by("-pk").values_list("artifact__name", flat=True)[:CHAMPIONS_SHOWN]
    return Standing(
        projects=projects["count"],
        items=projects["items"],
        open_items=max(projects["wanted"] - progress["completed"], 0),
        scores=max(progress["scores"] - _revoked(), 0),
        datasets=DatasetVersion.objects.ready().count(),
        live_datasets=live["annotations.dataset"],
        runs=Run.objects.filter(job__state=State.SUCCEEDED).count(),
        live_runs=live["training.run"],
        scorecards=Evaluation.objects.done().count(),
        live_evaluations=live["evaluation.scorecard"],
        models=Artifact.objects.ready().count(),
        newest_dataset=dataset.name if dataset else "",
        newest_model=model.name if model else "",
        champions=tuple(dict.fromkeys(champions)),
        unmeasured_model=unmeasured.name if unmeasured else "",
        newest_scorecard=Evaluation.objects.done().values_list("pk", flat=True).first(),
        loop=loop,
    )


def _revoked() -> int:
    """Of what people, and teachers' files, have given: what counts for nothing now. Never more than was given."""
    gone = {(one.project, one.rater): one.scores for one in revoked_counts()}
    if not gone:
        return 0
    given = Progress.objects.filter(rater__in={rater for _, rater in gone}).values_list("project", "rater", "scored")
    return sum(min(scored, gone.get((project, rater), 0)) for project, rater, scored in given)


def _live_jobs() -> dict[str, int]:
    kinds = ("annotations.dataset", "training.run", "evaluation.scorecard")
    counts = Job.objects.exclude(state__in=ENDED).filter(kind__in=kinds).order_by().values_list("kind").annotate(Count("id"))
    return dict.fromkeys(kinds, 0) | dict(counts)


def _loop_run(pipeline: Pipeline | None, jobs: list[Job]) -> LoopRun | None:
    if pipeline is None or not jobs:
        return None
    done = sum(job.state == State.SUCCEEDED for job in jobs)
    return LoopRun(pipeline.pk, pipeline.name, str(pipeline_state(jobs)), done, len(jobs))


@dataclass(frozen=True)
class RunRow:
    """One training run with what it used."""

    run: Run
    usage: Usage
    duration: timedelta | None

    @property
    def is_live(self) -> bool:
        return not self.run.job.has_ended


@shared
def last_runs() -> list[RunRow]:
    shown = ("name", "method", "job__state", "job__hardware_tag", "job__folder", "job__started_at", "job__finished_at")
    runs = Run.objects.select_related("job").only(*shown)[:RUNS_SHOWN]
    return [RunRow(run, usage_of(run.job.folder, ended=run.job.has_ended), run.job.duration) for run in runs]
